package coding

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"nearside/internal/testkit"
)

// sample is the content of the samples.
var sample = func() string {
	var text strings.Builder
	for i := range uint32(40) {
		fmt.Fprintf(&text, "{\"face_id\":\"%08x\",\"age\":%d}\n", i*2654435761, i%90)
	}
	return text.String()
}()

// Samples that the programs zstd 1.5 and gzip 1.12 have made.
const (
	// single was made by "zstd -19 FILE". It is a single segment with a checksum.
	single = "KLUv/WT2AxUJAOaWNxOgl3T+Gp6l7QCgv23b9syzOu4rNQAwAC8APIY8YpNVkt3NNpcNMxRnglLF592JRNJ3uz1z9H5MIkMRyRXgQAgEJ9gQEEQQCF0w4LwfDAIuPnLQ8/wFhUt+JU/Ym4woq/LFTYFL/T3SKYarhuqeDF2aYw6yLnjHR5Ww6D8zswOcxZ5sXyJeONZa+/f2h82KmNb4HmGl5hFZE7r7+KM5MixOFcvxnPtiqiXN2JQmRQAHiq9JuJJXQpgY0fS0hPeVszQ/GRGtqWxN6riRIOnfG7sR8scDR44gH1MiN7WFBlGoIJ7EOcMY0JWWAxBGmBVJ8AGTW/TIj0LM0o0bl4zeyIs19kohw94EeSKb7gstH4lwHZ9RIVQEFSFFltMilCCkWIFfwg=="
	// stream was made by "zstd -3 --no-check" from a pipe. Its window has 2 MiB.
	stream = "KLUv/QBYvQkAlhY3FZAl6a+LAIYkaWaEn2VZdh5R/bIBCDQALwAvAGPIIzZZJdndbHPZMENxJihVfN6dSCR9t9szR+/HJDIUkVwFBUEYPGCHwSAGwtACAM77w0DCxYcMep6/iHDJr6TIm4woK/HFTYEr/T3SKYSrhure0KU5ZlkXvOOjSlj0n5nZHMpZ7MP2JeI1Y621f2d/2KzIaI3vEU5qHpH1oLuPP5ojw+LUsRzPuT/VkmZsQpMBgoLSaxKuJJUQJkYkPS3hfeQszU9GRGsqW5Q6biSI+vfGboj+eODIIR9TIjenRVGoMBrFTJcxoDNKHhBGtIokuAc+ED7xA/BJH4CfeBQYkODpZq6n2+l1dj3dTq+VQ3qF7AzSC4QqfxCyhR/zPkT3wOch+x1c6cDkREUxkZGYyBAFiUeCkwI="
	// long was made by "zstd --long=24" from a pipe. Its window has 16 MiB.
	long = "KLUv/QRwvQkAlhY3FZAl6a+LAIYkaWaEn2VZdh5R/bIBCDQALwAvAGPIIzZZJdndbHPZMENxJihVfN6dSCR9t9szR+/HJDIUkVwFBUEYPGCHwSAGwtACAM77w0DCxYcMep6/iHDJr6TIm4woK/HFTYEr/T3SKYSrhure0KU5ZlkXvOOjSlj0n5nZHMpZ7MP2JeI1Y621f2d/2KzIaI3vEU5qHpH1oLuPP5ojw+LUsRzPuT/VkmZsQpMBgoLSaxKuJJUQJkYkPS3hfeQszU9GRGsqW5Q6biSI+vfGboj+eODIIR9TIjenRVGoMBrFTJcxoDNKHhBGtIokuAc+ED7xA/BJH4CfeBQYkODpZq6n2+l1dj3dTq+VQ3qF7AzSC4QqfxCyhR/zPkT3wOch+x1c6cDkREUxkZGYyBAFiUeCkwJYgV/C"
	// file was made by "gzip -9 FILE". Its header has the name of the file.
	zipped = "H4sICH0yDmsCA3QAXdMxcqYhCIfxfo/x1lsIiGIuk0HEzJ4hs3dPik8SsX0qf//h89lq/v5vPW9Peb3n76Mf/ryV/38+f+Xh1PuYcDLcmaz5poYn452XamsL6GS6c5e1vFk9ud4ZOnArnU/mO0+uthTbye3OTFKZVj+533nDnLZETpY7y95UO42Tx53RUa24BktiM2tIOmb05NZ0jFmrRU9wRRbg2it6ktNeRLt69ERXuRYE3tGT3WvVWB0SnoBuqPYze9KD7U28x+6Q+KaDF8EYHpIfG7PAiuUx+W0V21Niekx+Q6x2ptgekx+1Pd09xsfkt5ioyYj1Mfl1aupYY35MfgCKPHfsj8lP9xqLNfbH5FcdoG6O/TH5uVWxUWJ/TH6iUirO2J+SH8rs01rsT8nvdbaxPyW/xti+/xD7U/IrxI5DYn9KfgqDlejn8JMfbVtgHvtT8lte6mgj9qfk140MSo39KfmBdpKxY3/69vsCWXmefPYEAAA="
)

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	return testkit.Must(base64.StdEncoding.DecodeString(text))
}

// readAll decompresses data that arrives through from.
func readAll(c Coding, from io.Reader) (string, error) {
	r := NewReader(c, from, func(int) error { return nil })
	defer r.Close()
	content, err := io.ReadAll(r)
	return string(content), err
}

// TestSamples reads data that other programs have compressed, whole and byte by byte, and
// several of them after one another.
func TestSamples(t *testing.T) {
	skipped := "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" + "\x50\x2a\x4d\x18\x00\x00\x00\x00"
	for _, c := range []struct {
		coding Coding
		data   string
		times  int
	}{
		{Gzip, string(decoded(t, zipped)), 1},
		{Gzip, strings.Repeat(string(decoded(t, zipped)), 3), 3},
		{Zstd, string(decoded(t, single)), 1},
		{Zstd, string(decoded(t, stream)), 1},
		{Zstd, string(decoded(t, single)) + skipped + string(decoded(t, stream)) + string(decoded(t, single)), 3},
		{Zstd, skipped + string(decoded(t, stream)) + skipped, 1},
	} {
		for name, from := range map[string]io.Reader{"whole": strings.NewReader(c.data), "bytes": iotest.OneByteReader(strings.NewReader(c.data))} {
			if got, err := readAll(c.coding, from); err != nil || got != strings.Repeat(sample, c.times) {
				t.Errorf("%s, %s, %d times: %d bytes, %v", c.coding, name, c.times, len(got), err)
			}
		}
	}
}

// TestDamage cuts data at each byte, and changes each byte. A cut is always reported. A
// change is reported unless the content is the same.
func TestDamage(t *testing.T) {
	for c, text := range map[Coding]string{Gzip: zipped, Zstd: single} {
		data := decoded(t, text)
		check := func(what string, at int, damaged []byte) {
			t.Helper()
			got, err := readAll(c, bytes.NewReader(damaged))
			var e *DataError
			if err == nil && got != sample || err != nil && !errors.As(err, &e) && !errors.Is(err, ErrWindow) {
				t.Errorf("%s, %s %d: %d bytes, %v", c, what, at, len(got), err)
			}
			if what == "cut" && (err == nil || !strings.Contains(err.Error(), "ends too early")) {
				t.Errorf("%s, cut at %d: %v", c, at, err)
			}
		}
		for at := range data {
			check("cut", at, data[:at])
			changed := bytes.Clone(data)
			changed[at] ^= 0x10
			check("changed", at, changed)
		}
		// The second of two parts is cut, too.
		for at := range data[1:] {
			if _, err := readAll(c, bytes.NewReader(append(bytes.Clone(data), data[:at+1]...))); err == nil {
				t.Errorf("%s: the second part was cut at %d, but there is no error", c, at+1)
			}
		}
	}
}

// TestSourceErrors checks that errors of the source and of reserve are returned unchanged.
func TestSourceErrors(t *testing.T) {
	failed := errors.New("failed")
	for c, text := range map[Coding]string{Gzip: zipped, Zstd: single} {
		data := decoded(t, text)
		for _, at := range []int{0, 5, 12, len(data) / 2, len(data)} {
			if _, err := readAll(c, io.MultiReader(bytes.NewReader(data[:at]), iotest.ErrReader(failed))); err != failed { //nolint:errorlint // unchanged
				t.Errorf("%s, after %d bytes: %v", c, at, err)
			}
		}
		r := NewReader(c, bytes.NewReader(data), func(int) error { return failed })
		if n, err := r.Read(make([]byte, 10)); n != 0 || err != failed { //nolint:errorlint // unchanged
			t.Errorf("%s: %d bytes, %v", c, n, err)
		}
		r.Close()
		r.Close() // does nothing
		if _, err := r.Read(make([]byte, 10)); err == nil {
			t.Errorf("%s: a closed Reader can be read", c)
		}
	}
	if _, err := readAll(Zstd, bytes.NewReader(decoded(t, long))); !errors.Is(err, ErrWindow) || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("a window of 16 MiB: %v", err)
	}
}

// randomContent returns lines that can be compressed, or random bytes.
func randomContent(rng *rand.Rand, bytes int) []byte {
	all := make([]byte, 0, bytes+100)
	for len(all) < bytes {
		switch rng.IntN(3) {
		case 0:
			all = fmt.Appendf(all, `{"face_id":"%x","age":%d}`+"\n", rng.Uint64(), rng.IntN(90))
		case 1:
			all = append(all, byte(rng.Uint32()), byte(rng.Uint32()))
		default:
			all = append(all, strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(40))...)
		}
	}
	return all[:bytes]
}

// TestWriters compresses random contents whole and in pieces. gzip is read by the standard
// library, which needs no knowledge of this package.
func TestWriters(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	read := func(c Coding, data []byte) []byte {
		if c == Gzip {
			return testkit.Must(io.ReadAll(testkit.Must(stdgzip.NewReader(bytes.NewReader(data)))))
		}
		d := testkit.Must(zstd.NewReader(bytes.NewReader(data)))
		defer d.Close()
		return testkit.Must(io.ReadAll(d))
	}
	for round := range 40 {
		c := []Coding{Gzip, Zstd}[round%2]
		content := randomContent(rng, rng.IntN([]int{1, 300, 40_000, 400_000}[rng.IntN(4)]))
		if got := read(c, Append([]byte("x"), c, content)[1:]); !bytes.Equal(got, content) {
			t.Errorf("round %d, %s: %d bytes instead of %d", round, c, len(got), len(content))
		}
		s := Stream{Coding: c}
		var all []byte
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(100_000))
			piece := s.Append(nil, rest[:n])
			all = append(all, piece...)
			rest = rest[n:]
			arrived, _ := readAll(c, bytes.NewReader(all)) // gzip has no end yet
			if arrived != string(content[:len(content)-len(rest)]) {
				t.Fatalf("round %d, %s: %d bytes can be read after a piece, not %d", round, c, len(arrived), len(content)-len(rest))
			}
		}
		all = s.AppendEnd(all)
		if got := read(c, all); !bytes.Equal(got, content) {
			t.Errorf("round %d, %s in pieces: %d bytes instead of %d", round, c, len(got), len(content))
		}
		if got, err := readAll(c, iotest.HalfReader(bytes.NewReader(all))); err != nil || got != string(content) {
			t.Errorf("round %d, %s in pieces: %d bytes, %v", round, c, len(got), err)
		}
	}
}

// TestWindows checks that the state is reserved before a decoder sees a frame. It compares
// the windows with another parser of headers.
func TestWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 50 {
		var data []byte
		want := 0
		for range 1 + rng.IntN(4) {
			if rng.IntN(4) == 0 {
				n := rng.IntN(20)
				data = append(append(data, 0x50+byte(rng.IntN(16)), 0x2a, 0x4d, 0x18, byte(n), 0, 0, 0), make([]byte, n)...)
			}
			e := testkit.Must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<(10+rng.IntN(14))),
				zstd.WithSingleSegment(rng.IntN(2) == 0), zstd.WithEncoderCRC(rng.IntN(2) == 0)))
			frame := e.EncodeAll(randomContent(rng, rng.IntN([]int{2, 300, 200_000, 3_000_000}[rng.IntN(4)])), nil)
			var h zstd.Header
			if err := h.Decode(frame); err != nil {
				t.Fatal(err)
			}
			want = max(want, int(h.WindowSize), int(h.FrameContentSize)*btoi(h.SingleSegment))
			data = append(data, frame...)
		}
		class := 0
		for windowClasses[class] < want {
			class++
		}
		last := 0
		f := frames{from: bytes.NewReader(data), reserve: func(bytes int) error {
			if bytes <= last {
				t.Errorf("round %d: reserved %d after %d", round, bytes, last)
			}
			last = bytes
			return nil
		}}
		var reader io.Reader = &f
		if round%2 == 0 {
			f.from = iotest.OneByteReader(f.from)
		}
		passed := testkit.Must(io.ReadAll(reader))
		if !bytes.Equal(passed, data) || f.part != partMagic || len(f.kept) > 0 {
			t.Errorf("round %d: %d of %d bytes, part %d at the end", round, len(passed), len(data), f.part)
		}
		if last != zstdState(windowClasses[class]) {
			t.Errorf("round %d: reserved %d for a window of %d", round, last, want)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestState measures the memory of decoders in the middle of their data, and compares it
// with the state that was reserved.
func TestState(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	content := randomContent(rng, 24<<20)
	samples := map[string][]byte{"gzip": Append(nil, Gzip, content)}
	for _, window := range []int{64 << 10, 128 << 10, 2 << 20, 8 << 20} {
		e := testkit.Must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithSingleSegment(false)))
		samples[fmt.Sprintf("zstd with a window of %d", window)] = e.EncodeAll(content, nil)
	}
	for name, data := range samples {
		c := Zstd
		if name == "gzip" {
			c = Gzip
		}
		const count = 4
		var open [count]*Reader
		reserved := 0
		before := liveBytes()
		for i := range open {
			last := 0
			open[i] = NewReader(c, bytes.NewReader(data), func(bytes int) error {
				reserved += bytes - last
				last = bytes
				return nil
			})
			testkit.Must(io.CopyN(io.Discard, open[i], 20<<20))
		}
		used := liveBytes() - before
		t.Logf("%s: a decoder uses %d KiB and has reserved %d KiB", name, used/count>>10, reserved/count>>10)
		if used > reserved {
			t.Errorf("%s: the decoders use %d bytes and have reserved %d", name, used, reserved)
		}
		if used < reserved/10 {
			t.Errorf("%s: the decoders use only %d bytes of %d", name, used, reserved)
		}
		for _, r := range open {
			r.Close()
		}
	}
}

// liveBytes returns the bytes of the heap that are in use. Pools are emptied by two runs of
// the garbage collector.
func liveBytes() int {
	runtime.GC()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestPooledDecoders reads damaged and good data in turn with decoders that were used
// before.
func TestPooledDecoders(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for round := range 300 {
		c := []Coding{Gzip, Zstd}[rng.IntN(2)]
		content := randomContent(rng, rng.IntN(30_000))
		data := Append(nil, c, content)
		switch rng.IntN(3) {
		case 0:
			_, _ = readAll(c, bytes.NewReader(data[:rng.IntN(len(data))])) // any result is allowed
		case 1:
			data[rng.IntN(len(data))] ^= 1
			_, _ = readAll(c, bytes.NewReader(data))
		default:
			if got, err := readAll(c, bytes.NewReader(data)); err != nil || got != string(content) {
				t.Fatalf("round %d, %s: %d bytes of %d, %v", round, c, len(got), len(content), err)
			}
		}
	}
}
