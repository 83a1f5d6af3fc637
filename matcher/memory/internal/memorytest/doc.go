// Package memorytest has what the tests of the local matcher share with the tests of its
// subpackages:
//
//   - an [Oracle], which answers matches by brute force over plain objects,
//   - helpers that make changes and sub-requests ([Put], [Rows3], [Reference]),
//   - float32 rows for which an error bound may fail ([Adversary]).
//
// Only tests import it.
package memorytest
