package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// A data directory has an ID. It is stored in the file ID, in the second line of
// COMMITTED, in the database and, as part of the mark, in the manifest of the
// segments. So Open detects files that were copied from another directory.
// Directories of earlier versions get an ID when they are opened.

// nameID is the name of the file that holds the ID.
const nameID = "ID"

// idText returns the line that holds an ID. It has a checksum, so that a damaged ID
// is not mistaken for the ID of another directory.
func idText(id matcher.ID) string {
	text := id.String()
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// readID reads the ID in a file of dir. line is the zero-based number of the line
// that holds it. readID returns the zero ID if the file does not exist or has no
// ID yet.
func readID(fsys vfs.FS, dir, name string, line int) (matcher.ID, error) {
	b, err := readFile(fsys, fsys.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return matcher.ID{}, nil
	}
	if err != nil {
		return matcher.ID{}, err
	}
	lines := strings.SplitAfter(string(b), "\n")
	if line >= len(lines) || !strings.HasSuffix(lines[line], "\n") {
		return matcher.ID{}, nil // not written yet, or truncated by a power loss
	}
	text, _, _ := strings.Cut(lines[line], " ")
	id, err := matcher.ParseID(text)
	if err != nil || id.IsZero() || idText(id) != lines[line] {
		return matcher.ID{}, fmt.Errorf("the file %s must have an ID with its checksum in line %d, got %.60q", name, line+1, lines[line])
	}
	return id, nil
}

// checkIdentity compares the ID of the database, instance, with the IDs in the
// files.
func checkIdentity(fsys vfs.FS, dir string, instance matcher.ID) error {
	for line, name := range []string{nameID, nameCommitted} { // the second line of COMMITTED
		id, err := readID(fsys, dir, name, line)
		switch {
		case err != nil:
			return damageError(dir, err)
		case id.IsZero() || id == instance:
			continue
		}
		owner := instance.String()
		if instance.IsZero() {
			owner = "a directory of an earlier version, without an ID"
		}
		return fmt.Errorf("store: data directory %s has files of two data directories: the file %s belongs to %s, but the database %s belongs to %s; "+
			"nothing was changed: restore files of one data directory", dir, fsys.PathJoin(dir, name), id, fsys.PathJoin(dir, nameDatabase), owner)
	}
	return nil
}

// keepIdentity creates an ID if the directory has none (instance is zero), and
// writes it where it is missing. It writes the database first, so that no file has
// an ID that the database lacks.
func (s *Store) keepIdentity(instance matcher.ID) error {
	if s.instance = instance; s.instance.IsZero() {
		s.instance = matcher.NewID()
		if err := runHaltable(s.poison, func() error { return s.db.Set(metaInstance[:], s.instance[:], pebble.Sync) }); err != nil {
			return err
		}
	}
	id, err := readID(s.fs, s.opts.Dir, nameID, 0)
	if err == nil && id.IsZero() {
		err = writeFile(s.fs, s.fs.PathJoin(s.opts.Dir, nameID), idText(s.instance))
	}
	if err != nil {
		return err
	}
	id, err = readID(s.fs, s.opts.Dir, nameCommitted, 1)
	if err == nil && id.IsZero() {
		_, err = s.committed.WriteAt([]byte(idText(s.instance)), int64(len(committedText(0))))
	}
	return err
}
