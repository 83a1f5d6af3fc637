package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// COMMITTED holds the number of the last acknowledged commit. It is overwritten in
// place after each commit, without a sync. If the process is killed, the number
// survives. If the machine loses power, the file may hold an older number, which
// only makes the check weaker.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// committedText returns the first line of COMMITTED: the number with its checksum.
func committedText(n uint64) string {
	digits := fmt.Sprintf("%020d", n)
	return fmt.Sprintf("%s %08x\n", digits, crc32.Checksum([]byte(digits), castagnoli))
}

// readCommitted returns the number in COMMITTED, or 0 if the file does not exist.
func readCommitted(fsys vfs.FS, dir string) (uint64, error) {
	b, err := readFile(fsys, fsys.PathJoin(dir, nameCommitted))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n uint64 // the ID of the directory may follow
	if _, err := fmt.Sscanf(string(b), "%020d", &n); err != nil || !strings.HasPrefix(string(b), committedText(n)) {
		return 0, fmt.Errorf("the file %s is corrupt; if you delete it, the server starts with the commits that the database holds", nameCommitted)
	}
	return n, nil
}

// checkCommitted returns an error if the database lacks commits that were
// acknowledged. commits is the number of its last commit.
func checkCommitted(fsys vfs.FS, dir string, commits uint64) error {
	n, err := readCommitted(fsys, dir)
	if err != nil {
		return err
	}
	if commits < n {
		return fmt.Errorf("the last %d of %d commits are missing; if you delete the file %s, the server starts with the remaining commits", n-commits, n, nameCommitted)
	}
	return nil
}
