// Package memory is the local matcher: every stored object as columns in
// memory, filters as bitmaps over them, and exact scans by SIMD kernels.
//
// A [Memory] holds one table per origin. A table is a list of chunks; a chunk
// holds up to 65,536 rows of one set of descriptor versions: a slab of
// descriptors outside the Go heap, and a column per field that the origin has. A
// row's number is
// its chunk's index and its offset in it, so bitmaps over rows line up with
// chunks.
//
// A published row never changes. An update is a new row and a tombstone; a
// chunk with many tombstones, or a full one that mixes lists, is rewritten in the
// order of lists and times and dropped, and its memory is given
// back when the last snapshot that shows it is gone. Readers take a snapshot
// under a short lock and then read without one; the store's writer is the only
// one to call Apply.
//
// A Memory can be sealed: each chunk as a segment, a file that is read back at
// the next start in place of all records, and a manifest that says of which
// commit they are. Segments are a cache of the store, and are nothing without
// it.
//
// A match is one or more jobs: a selection of rows to be compared with some
// references. A scheduler lets jobs share strips of rows, in schedule.go.
//
// Descriptors are kept as they came, little-endian: the package needs a
// little-endian machine.
package memory
