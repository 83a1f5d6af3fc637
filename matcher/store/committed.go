package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// COMMITTED holds the number of the last commit that was answered. It is
// overwritten in place after each commit, without a sync: a process that is
// killed loses nothing of it, and a machine that loses power leaves an older
// number, which proves less but never too much.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func committedText(n uint64) string {
	digits := fmt.Sprintf("%020d", n)
	return fmt.Sprintf("%s %08x\n", digits, crc32.Checksum([]byte(digits), castagnoli))
}

// readCommitted returns the number in COMMITTED; a missing file proves nothing
// and gives 0.
func readCommitted(fsys vfs.FS, dir string) (uint64, error) {
	b, err := readFile(fsys, fsys.PathJoin(dir, nameCommitted))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n uint64
	if _, err := fmt.Sscanf(string(b), "%020d", &n); err != nil || committedText(n) != string(b) {
		return 0, fmt.Errorf("the file %s is garbled; without it, the server starts with what the database holds", nameCommitted)
	}
	return n, nil
}

// checkCommitted compares what the database holds with what was answered.
func checkCommitted(fsys vfs.FS, dir string, commits uint64) error {
	n, err := readCommitted(fsys, dir)
	if err != nil {
		return err
	}
	if commits < n {
		return fmt.Errorf("the last %d of %d commits are missing; without the file %s, the server starts with what is left", n-commits, n, nameCommitted)
	}
	return nil
}
