// Package filter turns the filter of a request into the rows that it selects.
//
// A [Query] is a filter bound to one snapshot of the tables. [Bind] looks up the object
// IDs, lists and accounts that the filter names, under the lock of the tables. The result
// is a bitmap of candidate rows, or all rows. [Query.AddColumns] adds a [Predicate] for
// each condition on a column. [Query.Select] evaluates all of them and returns a
// [Selection].
//
// A Predicate has two forms with the same result. All clears bits in the words of a whole
// chunk, using SIMD kernels where possible. One tests a single row; it is used when few
// rows are left. Texts are found by hash. The record of a row is read only if the lexicon
// of the column cannot guarantee that the hash belongs to a single text.
//
// A Selection is a set of live rows of one origin, with one bit per row. A small selection,
// which an index found, has row numbers instead.
package filter
