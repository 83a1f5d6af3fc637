// Package store keeps objects and lists durably. The data in memory and every
// index are copies of what it stores. It is the only user of Pebble.
//
// A [Store] owns one data directory. Every write is a transaction: a function
// that takes a [Tx]. [Store.Commit] passes it to the one writer goroutine. The
// writer runs transactions one after another and collects them in a group. Each
// transaction sees the writes of all earlier ones. Another goroutine makes the group
// durable with one sync, while the writer runs the transactions of the next group. Then
// the writer passes the [Change]s to the [Applier] in commit order and answers the
// callers. So a write that was acknowledged is durable and visible, and the Applier's
// copy is never ahead of the disk. If a group cannot be written, the transactions that
// have run after it fail, too.
//
// A face refers to its lists by number. A list gets its number when it is
// created, and numbers are never reused. Deleting a list therefore costs nothing
// per face: reading a face skips numbers of deleted lists, and a list created
// again under the same ID is empty.
//
// # Data directory
//
//	FORMAT     "nearside 1": the program and the format of the directory
//	ID         random ID of the directory, with a checksum
//	COMMITTED  number of the last acknowledged commit, with a checksum
//	SPARE      reserved disk space, so that a full disk cannot break the log
//	segments/  the [Cache], if the store has one; it can be deleted at any time
//	INGEST     a table that is being written, or that a killed process left
//	pebble/    the database; its LOCK file is held while the store is open
//
// [Open] verifies everything that it passes to the applier before it writes anything.
// Without a cache that is everything, so it leaves a damaged directory unchanged.
// COMMITTED detects a log that was cut between two records, which Pebble cannot detect.
//
// A small commit goes through Pebble's log. A large commit is written as a sorted
// table that Pebble ingests, so its bytes are written once instead of three
// times. In both cases the number and the digest of a commit are stored
// atomically with it.
//
// If a [Cache] is valid, Open reads only the lists and the records written since the
// cache was sealed. The store verifies all other records in the background. Damage
// found then poisons the store, see below: the applier has all objects and goes on
// to serve them.
//
// # When the disk fails
//
// A transaction that would leave too little free space fails with CodeFull. So
// does a transaction whose table does not fit on the disk. Writes work again when
// there is space. If a log or a manifest cannot be written, Pebble cannot
// recover, and the store becomes poisoned: every write fails at once, [Store.Err]
// returns the reason, and the process continues to serve the data in memory
// until it is restarted.
package store
