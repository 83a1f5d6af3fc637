package segment

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// file is a segment to be written.
type file struct {
	segment  table.Segment
	sections [][]byte
	blocks   [][]byte // of the arena
}

// newFile returns the contents of a segment of v. The memory that it refers to does not
// change any more.
func newFile(v *table.View) *file {
	f := &file{segment: table.Segment{Rows: v.Rows}, sections: v.FrozenSections(v.Rows)}
	f.blocks = v.RecordBlocks()
	var sizes []byte
	for _, b := range f.blocks {
		sizes = binary.LittleEndian.AppendUint32(sizes, uint32(len(b)))
	}
	f.sections = append(f.sections, sizes)
	return f
}

// bytes returns the size of the file.
func (f *file) bytes() int64 {
	n := int64(HeaderBytes)
	for _, sections := range [][][]byte{f.sections, f.blocks} {
		for _, p := range sections {
			n += int64(len(p))
		}
	}
	return n
}

// SyncBytes is the number of bytes written between two syncs. With small syncs, commits
// do not wait long for the disk. Free space is checked at the same interval.
const SyncBytes = 8 << 20

// write writes and syncs the file. It calls room before each further SyncBytes. The
// caller must sync the folder to make the file name durable. If ctx ends, write gives up
// before the next piece and removes the file. It calls step before it writes the header,
// which is last.
func (f *file) write(ctx context.Context, dir string, l *table.Layout, vs table.Versions, room func(bytes int64) error, step func(string)) (err error) {
	f.segment.ID = matcher.NewID()
	path := filepath.Join(dir, fileName(&f.segment))
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	var sections []section
	if _, err := out.Write(make([]byte, HeaderBytes)); err != nil {
		return err
	}
	unsynced := 0
	writeTo := func(p *section, b []byte) error {
		for ; len(b) > 0; b = b[min(len(b), pieceBytes):] {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece := b[:min(len(b), pieceBytes)]
			p.sum = crc32.Update(p.sum, castagnoli, piece)
			p.size += uint64(len(piece))
			if _, err := out.Write(piece); err != nil {
				return err
			}
			if unsynced += len(piece); unsynced >= SyncBytes {
				unsynced = 0
				if err := cmp.Or(out.Sync(), room(SyncBytes)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, b := range f.sections {
		sections = append(sections, section{})
		if err := writeTo(&sections[len(sections)-1], b); err != nil {
			return err
		}
	}
	sections = append(sections, section{})
	for _, b := range f.blocks {
		if err := writeTo(&sections[len(sections)-1], b); err != nil {
			return err
		}
	}
	step("header")
	if _, err := out.WriteAt(appendHeader(nil, &f.segment, l, vs, sections), 0); err != nil {
		return err
	}
	return out.Sync()
}

// sectionReader reads the sections of a segment one after the other. After the first
// error it does nothing.
type sectionReader struct {
	ctx      context.Context
	file     *os.File
	at       int64
	sections []section
	err      error
}

// read fills dst with the next section.
func (in *sectionReader) read(dst []byte) {
	if in.err == nil && (len(in.sections) == 0 || in.sections[0].size != uint64(len(dst))) {
		in.err = errSections
	}
	if in.err != nil {
		return
	}
	sum := uint32(0)
	for b := dst; len(b) > 0; b = b[min(len(b), pieceBytes):] {
		piece := b[:min(len(b), pieceBytes)]
		if in.err = in.ctx.Err(); in.err != nil {
			return
		}
		if _, err := in.file.ReadAt(piece, in.at); err != nil {
			in.err = fmt.Errorf("reading at byte %d: %w", in.at, err)
			return
		}
		in.at += int64(len(piece))
		sum = crc32.Update(sum, castagnoli, piece)
	}
	if sum != in.sections[0].sum {
		in.err = fmt.Errorf("the %d bytes before byte %d are damaged", len(dst), in.at)
	}
	in.sections = in.sections[1:]
}

var errSections = errors.New("the sections do not have the sizes that this program expects")

// next returns the next section in newly allocated memory, with the given spare capacity.
func (in *sectionReader) next(spare int) []byte {
	if in.err == nil && len(in.sections) == 0 {
		in.err = errSections
	}
	if in.err != nil {
		return nil
	}
	b := make([]byte, in.sections[0].size, in.sections[0].size+uint64(spare))
	in.read(b)
	return b
}
