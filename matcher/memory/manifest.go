package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"nearside/matcher"
)

// The manifest tells of which state the segments are a copy: the ordinals of
// accounts and lists that are in them, and per chunk its segment and the rows
// that were dead. It is replaced as a whole.
const (
	manifestName  = "MANIFEST"
	manifestNew   = "MANIFEST.new"
	manifestMagic = "nearman\x01"
)

// manifest is the content of the file.
type manifest struct {
	mark     []byte // of who seals
	accounts []matcher.ID
	lists    []sealedList // by ordinal
	chunks   []sealedChunk
}

type sealedList struct {
	id   matcher.ID
	live bool // it was not deleted
}

type sealedChunk struct {
	origin  matcher.Origin
	index   uint32 // in the table
	segment segment
	dead    []uint64 // bit per row; nil: none
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
		if l.live {
			live = 1
		}
		dst = append(append(dst, l.id[:]...), live)
	}
	dst = le.AppendUint32(dst, uint32(len(mf.chunks)))
	for i := range mf.chunks {
		c := &mf.chunks[i]
		dst = append(dst, byte(c.origin))
		dst = le.AppendUint32(dst, c.index)
		dst = append(dst, c.segment.id[:]...)
		dst = le.AppendUint32(dst, uint32(c.segment.rows))
		dst = le.AppendUint32(dst, c.segment.sum)
		dead := c.dead[:min(len(c.dead), (c.segment.rows+63)/64)]
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
	mf := &manifest{mark: r.take(int(r.uint32()))}
	for range r.uint32() {
		mf.accounts = append(mf.accounts, matcher.ID(r.take(16)))
	}
	for range r.uint32() {
		mf.lists = append(mf.lists, sealedList{matcher.ID(r.take(16)), r.take(1)[0] == 1})
	}
	for range r.uint32() {
		c := sealedChunk{origin: matcher.Origin(r.take(1)[0]), index: r.uint32()}
		c.segment = segment{id: matcher.ID(r.take(16)), rows: int(r.uint32()), sum: r.uint32()}
		for range r.uint32() {
			c.dead = append(c.dead, r.uint64())
		}
		mf.chunks = append(mf.chunks, c)
	}
	return mf, nil
}

func readManifest(dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	mf, err := parseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return mf, nil
}

// write replaces the manifest in dir, atomically and durably. step is told
// before each step.
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
	if err := os.Rename(path, filepath.Join(dir, manifestName)); err != nil {
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
