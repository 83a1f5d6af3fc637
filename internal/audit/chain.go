package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"strings"
	"time"
)

// Head is the number and the hash of the last line of a chain. The zero Head is that of an
// empty chain.
type Head struct {
	Seq  uint64
	Hash [sha256.Size]byte
}

// String returns SEQ:HASH, the form that ParseHead reads.
func (h Head) String() string {
	return strconv.FormatUint(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash[:])
}

// ParseHead reads the text SEQ:HASH.
func ParseHead(s string) (Head, error) {
	seq, digits, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	sum, err2 := hex.DecodeString(digits)
	if err != nil || err2 != nil || len(sum) != sha256.Size {
		return Head{}, fmt.Errorf("must be SEQ:HASH with a number and 64 hexadecimal digits, got %.100q", s)
	}
	return Head{n, [sha256.Size]byte(sum)}, nil
}

// Key is the secret of the keyed hash. It prints as ***.
type Key struct{ secret []byte }

// String implements fmt.Stringer.
func (Key) String() string { return "***" }

// GoString implements fmt.GoStringer.
func (Key) GoString() string { return "***" }

// Bounds of a key file, in bytes.
const (
	keyBytesMin = 16
	keyBytesMax = 4096
)

// ReadKey reads the key in a file. One line break at its end is not part of the key.
func ReadKey(name string) (Key, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Key{}, err
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) < keyBytesMin || len(data) > keyBytesMax {
		return Key{}, fmt.Errorf("%s: must have %d to %d bytes, got %d", name, keyBytesMin, keyBytesMax, len(data))
	}
	return Key{data}, nil
}

// chain computes the hashes of lines. One goroutine uses it at a time.
type chain struct {
	mac hash.Hash
	sum []byte
}

func newChain(k Key) *chain { return &chain{mac: hmac.New(sha256.New, k.secret)} }

// sign returns the keyed hash of text. The result is valid until the next call.
func (c *chain) sign(text []byte) []byte {
	c.mac.Reset()
	c.mac.Write(text)
	c.sum = c.mac.Sum(c.sum[:0])
	return c.sum
}

const (
	beginSeq  = `{"seq":`
	beginPrev = `,"prev":"`
	beginHash = `,"hash":"`
	hexBytes  = 2 * sha256.Size
	// tailBytes is the size of the end of a line: the fields prev and hash.
	tailBytes = len(beginPrev) + hexBytes + len(`"`) + len(beginHash) + hexBytes + len(`"}`)
	// lineExtra is at least what a line has in addition to its content.
	lineExtra = len(beginSeq) + len("18446744073709551615,") + tailBytes + len("\n")
	// lineMax is the largest size of a line without its newline. Builders of lines keep far
	// below it.
	lineMax = 4 << 20
)

// appendLine appends the line with the given content, which is all between the fields seq
// and prev. It returns the head after it.
func (c *chain) appendLine(dst []byte, before Head, content []byte) ([]byte, Head) {
	start := len(dst)
	dst = append(dst, beginSeq...)
	dst = strconv.AppendUint(dst, before.Seq+1, 10)
	dst = append(dst, ',')
	dst = append(dst, content...)
	dst = append(dst, beginPrev...)
	dst = hex.AppendEncode(dst, before.Hash[:])
	dst = append(dst, `"}`...)
	after := Head{Seq: before.Seq + 1}
	copy(after.Hash[:], c.sign(dst[start:]))
	dst = append(dst[:len(dst)-1], beginHash...)
	dst = hex.AppendEncode(dst, after.Hash[:])
	return append(dst, "\"}\n"...), after
}

// line is a line that was read.
type line struct {
	text    []byte // without the newline
	head    Head   // its own number and hash
	prev    [sha256.Size]byte
	content []byte // all between the fields seq and prev
}

var errNoLine = errors.New("is not a line of an audit")

// parseLine splits a line. It does not check the hash.
func parseLine(text []byte) (l line, err error) {
	if len(text) > lineMax || len(text) < len(beginSeq)+tailBytes || !bytes.HasPrefix(text, []byte(beginSeq)) || !bytes.HasSuffix(text, []byte(`"}`)) {
		return l, errNoLine
	}
	l.text = text
	tail := text[len(text)-tailBytes:]
	begin, ok := bytes.CutPrefix(tail, []byte(beginPrev))
	if !ok {
		return l, errNoLine
	}
	middle, ok := bytes.CutPrefix(begin[hexBytes:], []byte(`"`+beginHash))
	if !ok || !decodeHash(&l.prev, begin[:hexBytes]) || !decodeHash(&l.head.Hash, middle[:hexBytes]) {
		return l, errNoLine
	}
	rest := text[len(beginSeq) : len(text)-tailBytes]
	number, content, ok := bytes.Cut(rest, []byte(","))
	if !ok {
		return l, errNoLine
	}
	if l.head.Seq, err = strconv.ParseUint(string(number), 10, 64); err != nil {
		return l, errNoLine
	}
	l.content = content
	return l, nil
}

// decodeHash decodes lower-case hexadecimal digits.
func decodeHash(to *[sha256.Size]byte, digits []byte) bool {
	if bytes.ContainsFunc(digits, func(r rune) bool { return r >= 'A' && r <= 'F' }) {
		return false
	}
	_, err := hex.Decode(to[:], digits)
	return err == nil
}

// valid reports whether the hash of l belongs to its text.
func (c *chain) valid(l *line) bool {
	c.mac.Reset()
	c.mac.Write(l.text[:len(l.text)-len(beginHash)-hexBytes-len(`"}`)])
	c.mac.Write([]byte("}"))
	c.sum = c.mac.Sum(c.sum[:0])
	return hmac.Equal(c.sum, l.head.Hash[:])
}

// The content of a line begins with its time, which always has the same size.
const (
	timeLayout = `"time":"2006-01-02T15:04:05.000Z",`
	timeBytes  = len(timeLayout)
)

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// setTime replaces the time of a content.
func setTime(content []byte, t time.Time) {
	var scratch [2 * timeBytes]byte // AppendFormat also writes behind its result
	copy(content, appendTime(scratch[:0], t))
}

// timeOf returns the time in the content of a line.
func timeOf(content []byte) (time.Time, bool) {
	if len(content) < timeBytes {
		return time.Time{}, false
	}
	t, err := time.Parse(timeLayout, string(content[:timeBytes]))
	return t, err == nil
}

// withoutTime returns the content of a line after its time.
func withoutTime(content []byte) []byte { return content[min(timeBytes, len(content)):] }
