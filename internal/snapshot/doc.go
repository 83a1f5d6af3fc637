// Package snapshot makes, keeps, verifies and restores snapshots of a data directory.
//
//   - A snapshot is a folder with a copy of a data directory in the folder data, and a
//     Manifest: the sizes and SHA-256 sums of all files.
//   - A Folder holds snapshots by name. Only complete snapshots are there: one that is
//     being made or deleted has a name that begins with a dot.
//   - Verify compares a snapshot with its manifest, and Restore makes a data directory of
//     it. Both read a folder or a tar file, which Info.WriteTar has written.
//
// The sums find damage. They do not protect against somebody who can write to the folder,
// because that person can change the manifest, too.
package snapshot
