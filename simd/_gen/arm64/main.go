// Command arm64 generates the kernels of package simd for arm64 and their Go
// declarations. avo knows only amd64, so this program writes the text itself.
//
// There are three instruction sets. NEON multiplies bytes to products of 16 bits and
// adds pairs of products to sums of 32 bits. DotProd (SDOT, UDOT) adds four products
// of bytes to each sum in one instruction. I8MM (USDOT, USMMLA) also multiplies
// unsigned by signed bytes, and small matrices of bytes.
//
// The first two sets cannot multiply the unsigned bytes of a row r by the signed bytes
// of a query q. Their kernels subtract 128 from the bytes of the row and use
//
//	dot(r, q) = dot(r-128, q) + 128*sum(q)
//
// The sums of a query start at 128*sum(q) instead of 0. The padding of a query is 0,
// so it adds nothing to either side. Both parts are within ±2^28 for up to 16384
// dimensions, so no sum overflows.
package main

import (
	"os"
	"path/filepath"
)

//go:generate go run . ../..

func main() {
	dir := os.Args[1]
	for name, functions := range map[string][]*function{
		"columns":     columns(),
		"interleaved": interleaved(),
		"probe":       probes(),
		"rowmajor":    rowMajor(),
	} {
		write(filepath.Join(dir, name+"_arm64.s"), assembly(functions))
		write(filepath.Join(dir, name+"_stub_arm64.go"), declarations(functions))
	}
}

func write(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		panic(err)
	}
}
