// Package coding has the content codings of HTTP that nearside understands: gzip and zstd.
// It is the only user of klauspost/compress.
//
// The state of a decoder is the memory that it needs to decompress, above all its window:
// the last bytes of the content, which later parts may repeat. The sender chooses the size
// of the window, so a [Reader] announces its state before it allocates it.
//
// Encoders have no state between calls, so a client that reads slowly holds no encoder. As
// many encoders run at once as there are cores.
package coding

import "strings"

// Coding is a content coding.
type Coding uint8

// The codings.
const (
	Identity Coding = iota // the content itself
	Gzip
	Zstd
)

// String returns the name in headers.
func (c Coding) String() string { return [...]string{"identity", "gzip", "zstd"}[c] }

// Parse returns the coding with a name, in upper or lower case. x-gzip is an old name of gzip.
func Parse(name string) (c Coding, ok bool) {
	switch strings.ToLower(name) {
	case "identity":
		return Identity, true
	case "gzip", "x-gzip":
		return Gzip, true
	case "zstd":
		return Zstd, true
	}
	return Identity, false
}
