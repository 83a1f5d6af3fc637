// Command arm64 generates the kernels of package simd for arm64 and their Go
// declarations. avo knows only amd64, so this program writes the text itself.
//
// Three instruction sets exist. NEON multiplies bytes to 16 bits and adds pairs of
// products to 32-bit sums. DotProd (SDOT, UDOT) adds four products of bytes to each
// 32-bit sum. I8MM (USDOT, USMMLA) also multiplies unsigned by signed bytes, and
// small matrices of bytes.
//
// The first two cannot multiply unsigned bytes of a row by signed bytes of a query.
// They turn the bytes of the row r into signed ones, r-128, and use
//
//	dot(r, q) = dot(r-128, q) + 128*sum(q)
//
// so the sums of a query do not start at 0 but at 128*sum(q). Padding of a query is
// 0, so it adds nothing to either side. All sums wrap around; their end is right,
// because values fit in 32 bits.
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
