package coding

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// WindowMax is the largest window of zstd, in bytes. RFC 9659 has the same limit for HTTP.
const WindowMax = 8 << 20

// ErrWindow is wrapped by the error of a frame with a window above WindowMax.
var ErrWindow = errors.New("the zstd window is too large")

// windowClasses are the window sizes, in bytes, by which decoders are pooled. A decoder that
// was used keeps the memory of its largest window.
var windowClasses = [...]int{128 << 10, 2 << 20, WindowMax}

// StateMax is the largest state of any Reader, in bytes.
const StateMax = WindowMax + 2<<20

// zstdState returns an upper bound of the state of a decoder whose largest window has that
// many bytes: klauspost/compress allocates the window with space for more, three blocks of
// at most 128 KiB, and tables.
func zstdState(window int) int {
	return window + min(window, 1<<20) + 3*min(window, 128<<10) + 128<<10
}

// frames finds the windows of the frames in zstd data that passes through it, before a
// decoder sees them. It checks nothing else; decoders do.
type frames struct {
	from    io.Reader
	reserve func(bytes int) error
	class   int   // index in windowClasses, of the largest window
	held    int   // bytes that were reserved
	err     error // of reserve, or ErrWindow

	part    part
	missing int      // bytes of the part that have not passed
	kept    []byte   // of a part that is read
	bytes   [14]byte // memory of kept; the longest header has 14 bytes
	sum     bool     // the frame ends with a checksum
}

// part is a part of zstd data (RFC 8878, 3.1).
type part uint8

const (
	partMagic      part = iota // the first 4 bytes of a frame
	partSkipSize               // of a skippable frame
	partSkip                   // the data of a skippable frame, the data of a block, a checksum
	partDescriptor             // the first byte of a header, which gives the length of the rest
	partHeader                 // the rest of a header
	partBlock                  // the header of a block
	partLastBlock              // the data of the last block of a frame
	partEnd                    // data that is not a frame; the decoder reports it
)

// Read implements io.Reader.
func (f *frames) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.from.Read(p)
	if f.err = f.scan(p[:n]); f.err != nil {
		return 0, f.err
	}
	return n, err
}

// scan reads the next bytes of the data.
func (f *frames) scan(p []byte) error {
	if f.kept == nil {
		f.begin(partMagic, 4)
	}
	for len(p) > 0 && f.part != partEnd {
		n := min(len(p), f.missing)
		if f.part != partSkip && f.part != partLastBlock {
			f.kept = append(f.kept, p[:n]...)
		}
		f.missing -= n
		for p = p[n:]; f.missing == 0 && f.part != partEnd; {
			if err := f.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin starts a part of that many bytes.
func (f *frames) begin(p part, bytes int) {
	f.part, f.missing, f.kept = p, bytes, f.bytes[:0]
}

// next ends the current part, which has passed, and begins the next one. A part may be
// empty.
func (f *frames) next() error {
	switch f.part {
	case partMagic:
		switch magic := binary.LittleEndian.Uint32(f.kept); {
		case magic == 0xFD2FB528:
			f.begin(partDescriptor, 1)
		case magic&^0xF == 0x184D2A50:
			f.begin(partSkipSize, 4)
		default:
			f.begin(partEnd, 0)
		}
	case partSkipSize:
		f.sum = false
		f.begin(partLastBlock, int(binary.LittleEndian.Uint32(f.kept)))
	case partDescriptor:
		d := f.kept[0]
		f.sum = d&0x04 != 0
		f.part, f.missing = partHeader, headerRest(d)
	case partHeader:
		if err := f.addWindow(windowOf(f.kept)); err != nil {
			return err
		}
		f.begin(partBlock, 3)
	case partBlock:
		h := int(f.kept[0]) | int(f.kept[1])<<8 | int(f.kept[2])<<16
		size := h >> 3
		if h>>1&3 == 1 { // one byte that is repeated
			size = 1
		}
		if h&1 != 0 {
			f.begin(partLastBlock, size)
		} else {
			f.begin(partSkip, size)
		}
	case partSkip:
		f.begin(partBlock, 3)
	case partLastBlock:
		if f.sum {
			f.sum = false
			f.begin(partLastBlock, 4)
		} else {
			f.begin(partMagic, 4)
		}
	}
	return nil
}

// headerRest returns the length of a header after its first byte: one byte for the window
// unless the frame is a single segment, the ID of a dictionary, and the size of the content.
func headerRest(descriptor byte) int {
	single := descriptor&0x20 != 0
	rest := [...]int{0, 1, 2, 4}[descriptor&3]
	switch size := descriptor >> 6; {
	case size > 0:
		rest += 1 << size
	case single:
		rest++
	}
	if !single {
		rest++
	}
	return rest
}

// windowOf returns the size of the window in a header. The window of a single segment is
// its content.
func windowOf(header []byte) uint64 {
	if header[0]&0x20 == 0 {
		base := uint64(1) << (10 + header[1]>>3)
		return base + base/8*uint64(header[1]&7)
	}
	at := 1 + [...]int{0, 1, 2, 4}[header[0]&3]
	switch size := header[at:]; len(size) {
	case 1:
		return uint64(size[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(size)) + 256
	case 4:
		return uint64(binary.LittleEndian.Uint32(size))
	default:
		return binary.LittleEndian.Uint64(size)
	}
}

// addWindow reserves the state for another frame.
func (f *frames) addWindow(window uint64) error {
	if window > WindowMax {
		return fmt.Errorf("%w: it must have at most %d bytes, got %d", ErrWindow, WindowMax, window)
	}
	class := 0
	for window > uint64(windowClasses[class]) {
		class++
	}
	return f.reserveClass(class)
}

// reserveClass reserves the state of a class, unless a larger state is reserved.
func (f *frames) reserveClass(class int) error {
	f.class = max(f.class, class)
	if state := zstdState(windowClasses[f.class]); state > f.held {
		if err := f.reserve(state); err != nil {
			f.err = err
			return err
		}
		f.held = state
	}
	return nil
}
