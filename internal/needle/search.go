package needle

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
)

// Hit is a place where a needle was found.
type Hit struct {
	Tag    uint32 // of the needle
	Offset int64  // where the needle begins
}

// pieceBytes is how many bytes Read searches at a time.
const pieceBytes = 128 << 10

// Search calls found for each needle in data.
func (s *Set) Search(data []byte, found func(Hit)) {
	s.search(data, 0, len(data), 0, found)
}

// Read searches everything that in has, and returns the number of bytes. It calls pace,
// unless it is nil, after each piece with the bytes of the piece, so that pace can limit
// the rate. Its memory is 128 KiB and twice what the longest needle covers.
func (s *Set) Read(ctx context.Context, in io.Reader, pace func(bytes int), found func(Hit)) (total int64, err error) {
	overlap := s.span
	buffer := make([]byte, 0, pieceBytes+2*overlap)
	base := int64(0) // offset of buffer
	from := 0        // the first place in buffer whose anchor was not looked up
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := io.ReadFull(in, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		total += int64(n)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return total, err
		}
		if err != nil { // the end
			s.search(buffer, from, len(buffer), base, found)
			return total, nil
		}
		end := len(buffer) - overlap // needles around earlier places are complete
		s.search(buffer, from, end, base, found)
		if pace != nil {
			pace(n)
		}
		kept := max(end-overlap, 0)
		base += int64(kept)
		from = end - kept
		buffer = buffer[:copy(buffer, buffer[kept:])]
	}
}

// search looks up the anchors that begin in data[from:to]. base is the offset of data.
func (s *Set) search(data []byte, from, to int, base int64, found func(Hit)) {
	if f := s.filter[contiguous]; f != nil {
		shift := s.shift[contiguous]
		for at, end := from, min(to, len(data)-anchorBytes+1); at < end; at++ {
			anchor := binary.LittleEndian.Uint64(data[at:])
			if h := anchor * 0x9e3779b97f4a7c15 >> shift; f[h>>6]>>(h&63)&1 != 0 {
				s.compare(contiguous, anchor, data, at, base, found)
			}
		}
	}
	if f := s.filter[interleaved]; f != nil {
		shift := s.shift[interleaved]
		for at, end := from, min(to, len(data)-lineBytes-groupBytes+1); at < end; at++ {
			anchor := uint64(binary.LittleEndian.Uint32(data[at:])) | uint64(binary.LittleEndian.Uint32(data[at+lineBytes:]))<<32
			if h := anchor * 0x9e3779b97f4a7c15 >> shift; f[h>>6]>>(h&63)&1 != 0 {
				s.compare(interleaved, anchor, data, at, base, found)
			}
		}
	}
}

// compare compares the needles that have an anchor with data, whose anchor begins at at.
func (s *Set) compare(l layout, anchor uint64, data []byte, at int, base int64, found func(Hit)) {
	i, ok := s.first[l][anchor]
	if !ok {
		return
	}
	for ; i >= 0; i = s.entries[l][i].next {
		e := &s.entries[l][i]
		start := at - int(e.at)
		if l == interleaved {
			start = at - int(e.at)/groupBytes*lineBytes
		}
		if start < 0 || start+spanOf(l, int(e.length)) > len(data) {
			continue
		}
		if s.sum(l, data[start:], int(e.length)) == e.sum {
			found(Hit{Tag: e.tag, Offset: base + int64(start)})
		}
	}
}

// sum returns the hash of the needle of a length that begins with data.
func (s *Set) sum(l layout, data []byte, length int) uint64 {
	if l == contiguous {
		return maphash.Bytes(s.seed, data[:length])
	}
	gathered := make([]byte, 0, length)
	for ; len(gathered) < length; data = data[min(lineBytes, len(data)):] {
		gathered = append(gathered, data[:groupBytes]...)
	}
	return maphash.Bytes(s.seed, gathered)
}
