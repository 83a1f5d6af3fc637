package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// The manifest describes the state that the segments are a copy of: the accounts and
// lists by ordinal and, for each chunk, its segment and dead rows. It is replaced as a
// whole.
const (
	ManifestName  = "MANIFEST"
	manifestNew   = "MANIFEST.new"
	manifestMagic = "nearman\x01"
)

// manifest is the content of the file.
type manifest struct {
	mark     []byte // supplied by the caller that seals
	accounts []matcher.ID
	lists    []table.ListState // by ordinal
	chunks   []sealedChunk
}

type sealedChunk struct {
	origin  matcher.Origin
	index   uint32 // of the chunk in the table
	segment table.Segment
	dead    []uint64 // one bit per row; nil: no row is dead
}

func (mf *manifest) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, manifestMagic...)
	dst = le.AppendUint32(dst, uint32(len(mf.mark)))
	dst = append(dst, mf.mark...)
	dst = le.AppendUint32(dst, uint32(len(mf.accounts)))
	for _, id := range mf.accounts {
		dst = append(dst, id[:]...)
	}
	dst = le.AppendUint32(dst, uint32(len(mf.lists)))
	for _, l := range mf.lists {
		live := byte(0)
		if l.Live {
			live = 1
		}
		dst = append(append(dst, l.ID[:]...), live)
	}
	dst = le.AppendUint32(dst, uint32(len(mf.chunks)))
	for i := range mf.chunks {
		c := &mf.chunks[i]
		dst = append(dst, byte(c.origin))
		dst = le.AppendUint32(dst, c.index)
		dst = append(dst, c.segment.ID[:]...)
		dst = le.AppendUint32(dst, uint32(c.segment.Rows))
		dst = le.AppendUint32(dst, c.segment.Sum)
		dead := c.dead[:min(len(c.dead), (c.segment.Rows+63)/64)]
		dst = le.AppendUint32(dst, uint32(len(dead)))
		for _, word := range dead {
			dst = le.AppendUint64(dst, word)
		}
	}
	return le.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func parseManifest(b []byte) (*manifest, error) {
	if len(b) < len(manifestMagic)+4 {
		return nil, errors.New("it is cut short")
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return nil, errors.New("it is damaged")
	}
	if string(body[:len(manifestMagic)]) != manifestMagic {
		return nil, errors.New("its format is unknown")
	}
	r := reader{body[len(manifestMagic):]}
	mf := &manifest{mark: r.bytes(int(r.uint32()))}
	for range r.uint32() {
		mf.accounts = append(mf.accounts, matcher.ID(r.bytes(16)))
	}
	for range r.uint32() {
		mf.lists = append(mf.lists, table.ListState{ID: matcher.ID(r.bytes(16)), Live: r.bytes(1)[0] == 1})
	}
	for range r.uint32() {
		c := sealedChunk{origin: matcher.Origin(r.bytes(1)[0]), index: r.uint32()}
		c.segment = table.Segment{ID: matcher.ID(r.bytes(16)), Rows: int(r.uint32()), Sum: r.uint32()}
		for range r.uint32() {
			c.dead = append(c.dead, r.uint64())
		}
		mf.chunks = append(mf.chunks, c)
	}
	return mf, nil
}

func readManifest(dir string) (mf *manifest, err error) {
	path := filepath.Join(dir, ManifestName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil { // the checksum is right, but the contents are inconsistent
			mf, err = nil, fmt.Errorf("%s: %v", path, r)
		}
	}()
	if mf, err = parseManifest(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return mf, nil
}

// write replaces the manifest in dir, atomically and durably. It calls step before each
// step.
func (mf *manifest) write(dir string, step func(string)) (err error) {
	path := filepath.Join(dir, manifestNew)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(mf.append(nil))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	step("rename")
	if err := os.Rename(path, filepath.Join(dir, ManifestName)); err != nil {
		return err
	}
	step("sync")
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
