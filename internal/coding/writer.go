package coding

import (
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Append appends the compressed p to dst. c is Gzip or Zstd.
func Append(dst []byte, c Coding, p []byte) []byte {
	if c == Zstd {
		return zstdEncoder().EncodeAll(p, dst)
	}
	s := Stream{Coding: c}
	dst = appendDeflate(append(dst, gzipHeader...), p, true)
	s.count(p)
	return s.appendTrailer(dst)
}

// Stream compresses a stream in pieces. A receiver can decompress each piece when it
// arrives. Coding is Gzip or Zstd.
type Stream struct {
	Coding Coding
	begun  bool
	sum    uint32 // CRC-32 of the content; gzip
	size   uint32 // of the content; gzip
}

// Append appends the next piece to dst. Each piece of zstd is a frame. The pieces of gzip
// are one member, because some receivers read only the first member.
func (s *Stream) Append(dst, p []byte) []byte {
	if len(p) == 0 {
		return dst
	}
	if s.Coding == Zstd {
		s.begun = true
		return zstdEncoder().EncodeAll(p, dst)
	}
	s.count(p)
	return appendDeflate(s.appendHeader(dst), p, false)
}

// AppendEnd appends the end of the stream to dst.
func (s *Stream) AppendEnd(dst []byte) []byte {
	switch {
	case s.Coding == Gzip:
		return s.appendTrailer(appendDeflate(s.appendHeader(dst), nil, true))
	case !s.begun:
		return zstdEncoder().EncodeAll(nil, dst) // an empty frame
	default:
		return dst
	}
}

// gzipHeader is a header without a file name and a time (RFC 1952). 255 is an unknown
// operating system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

func (s *Stream) appendHeader(dst []byte) []byte {
	if s.begun {
		return dst
	}
	s.begun = true
	return append(dst, gzipHeader...)
}

// count adds p to the checksum and the size.
func (s *Stream) count(p []byte) {
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p)
	s.size += uint32(len(p))
}

func (s *Stream) appendTrailer(dst []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(dst, s.sum), s.size)
}

// appendDeflate appends the compressed p to dst. last ends the member.
func appendDeflate(dst, p []byte, last bool) []byte {
	slots := deflateSlots()
	slots <- struct{}{}
	defer func() { <-slots }()
	out := appender{dst}
	if err := flate.StatelessDeflate(&out, p, last, nil); err != nil {
		panic(err) // an appender does not fail
	}
	return out.all
}

// deflateSlots has one place per core.
var deflateSlots = sync.OnceValue(func() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) })

// appender appends what is written to it.
type appender struct{ all []byte }

// Write implements io.Writer.
func (a *appender) Write(p []byte) (int, error) {
	a.all = append(a.all, p...)
	return len(p), nil
}

// encoderWindow is the window of the zstd encoders, in bytes. The lines of an answer
// resemble each other, so a small window is enough.
const encoderWindow = 128 << 10

// zstdEncoder returns the encoder, which has one encoder per core inside.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(encoderWindow), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err) // the options are valid
	}
	return e
})
