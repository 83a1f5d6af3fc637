// Package segment keeps the rows of the tables in files, so that the next start does not
// need to read all records of the store. The files are a cache: they can be deleted at
// any time, and are useless without the store.
//
// A segment is a file with the first rows of a chunk, as they are in memory. Its header
// has the checksum of each section of the file, and a number for the layout of columns
// and descriptors. A program or configuration with another layout refuses the file.
//
// The manifest describes the state that the segments are a copy of: the accounts and
// lists, the segment of each chunk, and its deleted rows. It also has the mark of the
// commit, which the store compares at the next start. The manifest is replaced as a
// whole, after all files that it names are on disk. Sealing is writing the missing
// segments, and then the manifest.
//
// [Capture] takes the present state of the tables and returns a function that writes it
// while further commits go on. [Restore] reads all files into empty tables and verifies
// them. [Drop] deletes the files, and [Inspect] describes them.
package segment
