package memory

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

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
