package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A start from the cache reads only a part of the records. So damage that a verification
// has found is kept in a file, the marker. With a marker, a start refuses writes at once
// and not only when the damage is found again. A verification of all records without a
// fault removes the marker.

// nameDamaged is the name of the marker. It holds one line with the damage, for people.
const nameDamaged = "DAMAGED"

// readMarker returns the text of the marker of dir. found reports whether there is one.
func readMarker(fsys vfs.FS, dir string) (text string, found bool) {
	b, err := readFile(fsys, fsys.PathJoin(dir, nameDamaged))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false
	case err != nil:
		return "the file cannot be read: " + err.Error(), true
	}
	return oneLine(errors.New(strings.TrimSpace(string(b)))), true
}

// refuseWrites writes the marker and poisons the store. damage is what the verification
// has found. The marker is durable before anyone can learn of the damage.
func (s *Store) refuseWrites(damage string) {
	text := fmt.Sprintf("found %s: %s\n", s.opts.now().UTC().Format(time.RFC3339), damage)
	if err := writeFile(s.fs, s.fs.PathJoin(s.opts.Dir, nameDamaged), text); err != nil {
		damage += fmt.Sprintf("; the file %s cannot be written, so the next start accepts writes until it finds the damage again: %v", nameDamaged, err)
	}
	s.poison.failDamaged(s.describeDamage(damage))
}

// describeDamage returns an error that says that the directory is damaged and what to do.
func (s *Store) describeDamage(damage string) error {
	return fmt.Errorf("data directory %s is damaged: %s; matches and reads continue with the complete objects in memory: "+
		"export them, or restore the directory from a copy (docs/operating.md, Start)", s.opts.Dir, damage)
}

// checkMarker is called before the store is used. If there is a marker, it refuses writes,
// or removes the marker if Open has verified all records.
func (s *Store) checkMarker(verified bool) error {
	text, found := readMarker(s.fs, s.opts.Dir)
	if !found {
		return nil
	}
	if verified {
		return s.removeMarker()
	}
	damage := s.describeDamage(fmt.Sprintf("the file %s says: %s; the database is verified again, and writes are accepted if that finds no damage", nameDamaged, text))
	err := refusal(damage)
	s.marked.Store(&err)
	s.opts.Warn("store: nothing can be written: the data directory is damaged", "error", damage)
	return nil
}

// acceptWrites is called when a verification has found no damage. It removes the marker, if
// there is one, and ends the refusal of writes.
func (s *Store) acceptWrites() {
	if s.marked.Load() == nil {
		return
	}
	if err := s.removeMarker(); err != nil {
		s.opts.Warn("store: the database has no damage, but nothing can be written until the file DAMAGED is removed and the server is started again",
			"dir", s.opts.Dir, "error", err)
		return
	}
	s.marked.Store(nil)
}

// removeMarker removes the marker durably.
func (s *Store) removeMarker() error {
	if err := s.fs.Remove(s.fs.PathJoin(s.opts.Dir, nameDamaged)); err != nil {
		return err
	}
	if err := syncDir(s.fs, s.opts.Dir); err != nil {
		return err
	}
	s.opts.Warn("store: the database has no damage any more: writes are accepted again", "dir", s.opts.Dir)
	return nil
}
