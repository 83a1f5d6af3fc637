// Package audit keeps a record of who did what: one line of JSON for each match, write,
// operation of an administrator and refused request. The lines form a chain. Each has the
// hash of the line before it and a keyed hash of its own text, so a change, a gap, another
// order and lines of another server can be found.
//
//   - A Log writes lines to the current file, rotates it, and reads pages of lines.
//   - An Entry says what one request does. The context of a request carries it.
//   - A Head is the number and the hash of the last line of a chain.
//   - Verify checks the lines of files.
//
// # Order and durability
//
// A line gets its number when it is added to the file. The line of a match is written
// before its answer is sent. Lines of concurrent matches share a write. The record of a write is stored with the write by package
// store, in the same commit. Its line is written after the commit is durable, and before the
// write is answered. A start adds the lines that an end of the process has prevented.
//
// Every second, the file is synced, then the head is stored, and the records whose lines are
// in the file are removed from the store. So the stored head is never ahead of the disk. A
// start compares the file with it.
//
// # When the file cannot be written
//
// Log.Err returns the reason, and operations that need a line are refused. Records of writes
// that are durable stay in the store and in memory; there are never more than those of two
// groups of the store. The Log tries again every second.
//
// # A torn line
//
// The end of the process or of the machine may leave a part of a line at the end of the
// file. It is kept. The next line is an audit.recovered line. Its reference has the SHA-256
// of all bytes since the last complete line, without the newline that was added to them.
package audit
