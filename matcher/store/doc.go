// Package store keeps objects and lists durably: the truth of which memory and
// every index is a copy. It is the only user of Pebble.
//
// A [Store] owns one data directory. Every write is a transaction, a function
// over a [Tx], that [Store.Commit] hands to the one writer goroutine. The
// writer runs transactions one after another over the committed state and the
// earlier ones of its group, commits the group with one sync, hands the
// [Change]s to the [Applier] in commit order and then answers. So a write that
// was answered is durable and visible, and the Applier's copy is never ahead
// of the disk.
//
// Faces are linked to lists by a number that each list gets when it is created
// and that is never used again. Deleting a list therefore costs nothing per
// face: numbers without a list are skipped when a face is read, and a list
// created again under the same ID is empty.
//
// # Data directory
//
//	FORMAT     "nearside 1": what wrote the directory
//	COMMITTED  number of the last commit that was answered, with a checksum
//	SPARE      disk space held back, so that a full disk cannot break the log
//	segments/  the [Cache], if there is one; it can be deleted at any time
//	INGEST     a table on its way into the database, or what a killed process left
//	pebble/    the database; its LOCK file is held while the store is open
//
// [Open] reads everything before it writes anything, so that a damaged
// directory is found untouched. COMMITTED finds what Pebble cannot see: a log
// that ends early, but cleanly.
//
// A commit goes through Pebble's log. A large one is written as a sorted table
// instead, once and not three times, which the database takes in as a whole.
// Either way what a commit says about itself is part of it.
//
// With a [Cache] that fits, Open hands the applier only lists and what was
// written since the cache was sealed. All other records are read too, on all
// cores, but only to be counted: it finds the same damage with a cache and
// without.
//
// # When the disk fails
//
// A transaction that would leave too little free space is refused with
// CodeFull, and so is one whose table finds no space while it is written;
// writes work again when there is space. When a log or a manifest
// cannot be written all the same, Pebble has no way back: the store then is
// poisoned. It refuses every write at once, [Store.Err] tells why, and the
// process lives on with what is in memory, until it is started again.
package store
