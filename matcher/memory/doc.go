// Package memory is the local matcher: it holds every stored object in memory and matches
// against them exactly.
//
// A [Memory] applies the commits of the store, answers matches and pages, and gives
// plugins a [Selection], a set of rows with operations on it. It is built from these
// packages, which do not depend on it:
//
//   - matcher/memory/table has the rows: chunks of columns and descriptors, and
//     snapshots of them;
//   - matcher/memory/filter turns a filter into the rows that it selects;
//   - matcher/memory/scan compares references with these rows and finds the
//     nearest;
//   - matcher/memory/segment keeps the rows in files for the next start.
//
// Only the writer of the store calls [Memory.Admit] and [Memory.Apply]. Readers take the
// newest snapshot under a short lock and then read without a lock. A request that needs
// one consistent state takes a [matcher.Moment].
package memory
