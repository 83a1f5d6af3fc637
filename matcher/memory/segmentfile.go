package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"nearside/matcher"
)

// file is a segment to be written.
type file struct {
	segment  segment
	sections [][]byte
	blocks   [][]byte // of the arena
}

// file returns what a segment of the view is made of. Its memory does not
// change any more.
func (v *view) file() *file {
	f := &file{segment: segment{rows: v.n}, sections: v.frozenSections(v.n)}
	// Rows have their records in the order of rows: the last one ends what the
	// arena has of this view.
	last := v.chunk.details[v.n-1]
	end := int(last&0xffff) + len(v.record(v.n-1))
	f.blocks = append(f.blocks, v.blocks[:last>>16]...)
	f.blocks = append(f.blocks, v.blocks[last>>16][:end:end])
	sizes := make([]uint32, len(f.blocks))
	for i, b := range f.blocks {
		sizes[i] = uint32(len(b))
	}
	f.sections = append(f.sections, bytesOf(sizes))
	return f
}

func (f *file) bytes() int64 {
	n := int64(segmentHeader)
	for _, sections := range [][][]byte{f.sections, f.blocks} {
		for _, p := range sections {
			n += int64(len(p))
		}
	}
	return n
}

// syncBytes is after how much the disk is made to write, so that it never has so
// much to do at once that commits wait for it, and looked at for room.
const syncBytes = 8 << 20

// write writes the file, durably but for its name.
func (f *file) write(ctx context.Context, dir string, l *layout, vs versions, room func(bytes int64) error) (err error) {
	f.segment.id = matcher.NewID()
	path := filepath.Join(dir, f.segment.name())
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
	if _, err := out.Write(make([]byte, segmentHeader)); err != nil {
		return err
	}
	since := 0
	add := func(p *section, b []byte) error {
		for ; len(b) > 0; b = b[min(len(b), pieceBytes):] {
			piece := b[:min(len(b), pieceBytes)]
			p.sum = crc32.Update(p.sum, castagnoli, piece)
			p.size += uint64(len(piece))
			if _, err := out.Write(piece); err != nil {
				return err
			}
			if since += len(piece); since >= syncBytes {
				since = 0
				if err := cmp.Or(out.Sync(), room(syncBytes)); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	}
	for _, b := range f.sections {
		sections = append(sections, section{})
		if err := add(&sections[len(sections)-1], b); err != nil {
			return err
		}
	}
	sections = append(sections, section{})
	for _, b := range f.blocks {
		if err := add(&sections[len(sections)-1], b); err != nil {
			return err
		}
	}
	if _, err := out.WriteAt(f.segment.appendHeader(nil, l, vs, sections), 0); err != nil {
		return err
	}
	return out.Sync()
}

// sectionReader reads the sections of a segment one after the other. After the first
// fault it does nothing.
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
			in.err = fmt.Errorf("at %d: %w", in.at, err)
			return
		}
		in.at += int64(len(piece))
		sum = crc32.Update(sum, castagnoli, piece)
	}
	if sum != in.sections[0].sum {
		in.err = fmt.Errorf("the %d bytes before %d are damaged", len(dst), in.at)
	}
	in.sections = in.sections[1:]
}

var errSections = errors.New("its sections are not those of this program")

// next returns the next section in memory of its own.
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

// arena reads the arena. More records can be added to it.
func (in *sectionReader) arena() *arena {
	sizes, all := in.next(0), in.next(arenaBlock)
	if in.err != nil {
		return nil
	}
	a := &arena{}
	for r := (reader{sizes}); len(r.rest) > 0; {
		a.used = int(r.uint32())
		if len(r.rest) > 0 {
			a.blocks = append(a.blocks, all[:a.used:a.used])
		} else { // the last one, which may get more
			a.blocks = append(a.blocks, all[:max(a.used, arenaBlock)])
		}
		all = all[a.used:]
	}
	return a
}
