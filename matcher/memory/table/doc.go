// Package table keeps rows in memory: the stored objects of each origin, as columns.
//
// [Tables] has one table per origin and the indexes that find rows by object ID, list and
// account. A table is a list of chunks. A [Chunk] holds up to 65,536 rows whose
// descriptors have the same versions ([Kind]). It consists of
//
//   - a [Slab] for each type of descriptor, outside the Go heap. For float32 rows the
//     slab also has a copy in bytes, which a [Coarse] describes;
//   - a column for each other field that filters or orders use: a slice with one value
//     per row. The [Layout] of an origin lists its columns. A text column stores hashes;
//     a [Lexicon] holds the texts of columns with few different values;
//   - an [Arena] with one record per row, which has the row's texts and lists.
//
// A row number has 32 bits: the index of the row's chunk in the table in the upper 16,
// and the row's offset in the chunk in the lower 16. A [Bitmap] is a set of row numbers.
// A [List] has an ordinal, which records name, and the numbers of its rows.
//
// A published row never changes. A [View] is a chunk at one moment: how many rows it had,
// and which of them were deleted. A [Snapshot] has the views of all chunks, and the lists
// and accounts, as of one commit. Readers take the newest snapshot under the lock of
// Tables and then read it without the lock. A chunk's memory is unmapped when no snapshot
// refers to the chunk any more. A reader of a column or a slab must therefore keep the
// snapshot alive ([runtime.KeepAlive]).
//
// One goroutine, the writer, makes changes. An [Update] appends rows after those that
// existing snapshots show, then publishes a new snapshot. When an object changes, it gets
// a new row, and its old row is marked as deleted. [Tables.Maintain] rewrites two kinds
// of chunks: those with many deleted rows, and full ones whose lists or times are mixed.
// It moves their live rows to other chunks, ordered by list and time.
//
// Descriptors are stored as received, in little-endian order. The package therefore needs
// a little-endian machine.
package table
