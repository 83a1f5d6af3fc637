package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// listsDeadMin and listsDeadShare limit the ordinals of deleted lists. If there are more
// than listsDeadMin, and more than listsDeadShare per existing list, nothing is sealed.
// The next start then reads the records and assigns new ordinals.
const (
	listsDeadMin   = 1 << 16
	listsDeadShare = 4
)

// capture is a state of the tables that is to be written.
type capture struct {
	snap  *table.Snapshot
	files map[*table.Chunk]*file // of chunks with rows that no segment has
	step  func(string)
}

// Capture returns a function that seals the present state of t: it brings the segments in
// a folder up to date with that state. Restore later returns mark. The function calls
// room to check for disk space: room returns an error if the disk does not have that many
// free bytes. It calls step, unless nil, before each step. Only the writer calls Capture.
func Capture(t *table.Tables, step func(step string)) func(ctx context.Context, dir string, mark []byte, room func(bytes int64) error) error {
	if len(t.Misfits) > 0 {
		return func(context.Context, string, []byte, func(int64) error) error {
			return errors.New("there are descriptors that no version fits")
		}
	}
	c := &capture{snap: t.Newest, files: map[*table.Chunk]*file{}, step: step}
	if c.step == nil {
		c.step = func(string) {}
	}
	for o := range c.snap.Views {
		for i := range c.snap.Views[o] {
			v := &c.snap.Views[o][i]
			if v.Rows == 0 {
				continue
			}
			if s := v.Segment.Load(); s == nil || s.Rows != v.Rows {
				c.files[v.Chunk] = newFile(v)
			}
		}
	}
	return c.seal
}

// seal writes the segments that have no file yet, then the manifest, and removes the
// segments that the manifest does not name. Until the new manifest is in place, the old
// one is valid, and all its files exist.
func (c *capture) seal(ctx context.Context, dir string, mark []byte, room func(bytes int64) error) error {
	c.cleanLeftovers(dir)
	need := int64(0)
	for _, f := range c.files {
		need += f.bytes()
	}
	if err := room(need); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mf, err := c.manifest(mark)
	if err != nil {
		return err
	}
	for o := range c.snap.Views {
		for i := range c.snap.Views[o] {
			v := &c.snap.Views[o][i]
			if v.Rows == 0 {
				continue
			}
			if f := c.files[v.Chunk]; f != nil {
				c.step("segment")
				if err := f.write(ctx, dir, v.Layout, v.Versions, room, c.step); err != nil {
					return err
				}
				v.Segment.Store(&f.segment)
			}
			mf.chunks = append(mf.chunks, sealedChunk{matcher.Origin(o), uint32(i), *v.Segment.Load(), v.Dead})
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	c.step("manifest")
	if err := mf.write(dir, c.step); err != nil {
		return err
	}
	c.step("clean")
	if err := clean(dir, mf.files()); err != nil {
		return err
	}
	c.step("sealed")
	return nil
}

// manifest returns the manifest without the chunks.
func (c *capture) manifest(mark []byte) (*manifest, error) {
	mf := &manifest{mark: mark, accounts: c.snap.Accounts}
	live := 0
	for ordinal := range uint32(c.snap.Lists.Len()) {
		exists := c.snap.Lists.Shows(ordinal)
		if !exists { // without its ID, which is not needed any more
			mf.lists = append(mf.lists, table.ListState{})
			continue
		}
		mf.lists = append(mf.lists, table.ListState{ID: c.snap.Lists.At(ordinal).ID, Live: true})
		live++
	}
	if dead := len(mf.lists) - live; dead > listsDeadMin && dead > listsDeadShare*live {
		return nil, fmt.Errorf("the ordinals of %d deleted lists are still in use; the next start reads all records and assigns new ordinals", dead)
	}
	return mf, nil
}

// cleanLeftovers removes the files of a sealing that ended, with its process, before it had
// written its manifest. They would take disk space until a sealing succeeds. It keeps the files of the old manifest, and those of chunks: a sealing that
// failed in this process may have written them, and they are not written again. A file that
// cannot be removed does not prevent the sealing, which reports it at the end.
func (c *capture) cleanLeftovers(dir string) {
	old, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		old = &manifest{}
	} else if err != nil {
		return // clean removes them when the damaged manifest is replaced
	}
	named := old.files()
	for o := range c.snap.Views {
		for i := range c.snap.Views[o] {
			if v := &c.snap.Views[o][i]; v.Rows > 0 {
				if s := v.Segment.Load(); s != nil {
					named[fileName(s)] = true
				}
			}
		}
	}
	_ = clean(dir, named)
}

// Drop removes all segments in dir. The next capture of t writes all rows again.
func Drop(dir string, t *table.Tables) error {
	snap := t.Snapshot()
	for o := range snap.Views {
		for i := range snap.Views[o] {
			if c := snap.Views[o][i].Chunk; c != nil {
				c.Segment.Store(nil)
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, ManifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return clean(dir, nil)
}

// files returns the names of the segments that mf names.
func (mf *manifest) files() map[string]bool {
	names := map[string]bool{}
	for i := range mf.chunks {
		names[fileName(&mf.chunks[i].segment)] = true
	}
	return names
}

// clean removes all segments in dir, except the named ones.
func clean(dir string, named map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, Suffix) && !named[name] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	return err
}
