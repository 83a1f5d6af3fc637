package server

import (
	"slices"

	"nearside/internal/coding"
)

// compressMin is the size below which answers are not compressed, because they fit into one
// packet.
const compressMin = 1 << 10

// compress returns the body of an answer in the coding that the client accepts. It returns
// body itself if that is small or does not become smaller, or if there is no room for a
// second copy.
func (x *exchange) compress(body []byte) []byte {
	if x.operation.ownCoding || len(body) == 0 {
		return body
	}
	x.Response.Header.Set("Vary", "Accept-Encoding")
	if x.outCoding == coding.Identity || len(body) < compressMin || !x.reserveCopy(body) {
		return body
	}
	coded := coding.Append(make([]byte, 0, copyBytes(body)), x.outCoding, body)
	if len(coded) >= len(body) {
		return body
	}
	x.Response.Header.Set("Content-Encoding", x.outCoding.String())
	return slices.Clone(coded) // the memory beyond it is not needed
}

// copyBytes returns the largest size of the compressed body, in bytes.
func copyBytes(body []byte) int { return len(body) + len(body)/256 + 128 }

// reserveCopy reserves memory for a compressed copy of body, if there is room.
func (x *exchange) reserveCopy(body []byte) bool {
	size := int64(cap(body) + 2*copyBytes(body))
	c := x.conn.answer
	switch {
	case c == nil && size <= 4*freeBytes:
		return true
	case c == nil:
		c = x.answers.large.newClaim(x.conn.askWriter)
		c.slowCalls = 4 // as in reserve
		x.conn.answer = c
	}
	more := size - c.held
	return more <= 0 || c.held+more <= c.budget.reserve && c.tryGrow(more)
}
