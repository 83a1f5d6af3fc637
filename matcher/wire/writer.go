package wire

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

// Writer appends one value to a slice, in either format. The caller ends every
// object and array that it begins, and writes a Key before each field. Strings
// must be UTF-8; in JSON, other bytes become U+FFFD.
type Writer struct {
	format Format
	buf    []byte
	base   int          // where the value begins
	open   []openObject // MessagePack: the objects that are not ended yet
}

// openObject is an object that is being written.
type openObject struct {
	at   int    // the offset of its header
	keys uint32 // written so far
}

// NewWriter returns a Writer that appends to dst.
func NewWriter(dst []byte, f Format) *Writer {
	return &Writer{format: f, buf: dst, base: len(dst)}
}

// Done returns dst with the value appended.
func (w *Writer) Done() []byte { return w.buf }

// comma writes the comma before a value or a key, if one is needed. The last byte
// decides: no JSON value ends in '{', '[' or ':'.
func (w *Writer) comma() {
	if w.format != JSON || len(w.buf) == w.base {
		return
	}
	switch w.buf[len(w.buf)-1] {
	case '{', '[', ':':
	default:
		w.buf = append(w.buf, ',')
	}
}

// Object begins an object.
func (w *Writer) Object() {
	w.comma()
	if w.format == JSON {
		w.buf = append(w.buf, '{')
		return
	}
	w.open = append(w.open, openObject{at: len(w.buf)})
	w.buf = append(w.buf, 0) // EndObject writes the header, when the number of keys is known
}

// Key writes the name of the next field.
func (w *Writer) Key(name string) {
	w.String(name)
	if w.format == JSON {
		w.buf = append(w.buf, ':')
		return
	}
	w.open[len(w.open)-1].keys++
}

// EndObject ends the object begun last.
func (w *Writer) EndObject() {
	if w.format == JSON {
		w.buf = append(w.buf, '}')
		return
	}
	o := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	var scratch [5]byte
	header := msgp.AppendMapHeader(scratch[:0], o.keys)
	if more := len(header) - 1; more > 0 { // rare: 16 keys and above
		w.buf = append(w.buf, header[1:]...)
		copy(w.buf[o.at+len(header):], w.buf[o.at+1:len(w.buf)-more])
	}
	copy(w.buf[o.at:], header)
}

// Array begins an array of n elements.
func (w *Writer) Array(n int) {
	w.comma()
	if w.format == JSON {
		w.buf = append(w.buf, '[')
		return
	}
	w.buf = msgp.AppendArrayHeader(w.buf, uint32(n))
}

// EndArray ends an array.
func (w *Writer) EndArray() {
	if w.format == JSON {
		w.buf = append(w.buf, ']')
	}
}

// Null writes null.
func (w *Writer) Null() {
	w.comma()
	if w.format == JSON {
		w.buf = append(w.buf, "null"...)
		return
	}
	w.buf = msgp.AppendNil(w.buf)
}

// Bool writes a boolean.
func (w *Writer) Bool(b bool) {
	w.comma()
	if w.format == JSON {
		w.buf = strconv.AppendBool(w.buf, b)
		return
	}
	w.buf = msgp.AppendBool(w.buf, b)
}

// Int writes an integer.
func (w *Writer) Int(i int64) {
	w.comma()
	if w.format == JSON {
		w.buf = strconv.AppendInt(w.buf, i, 10)
		return
	}
	w.buf = msgp.AppendInt64(w.buf, i)
}

// Uint writes an integer.
func (w *Writer) Uint(u uint64) {
	w.comma()
	if w.format == JSON {
		w.buf = strconv.AppendUint(w.buf, u, 10)
		return
	}
	w.buf = msgp.AppendUint64(w.buf, u)
}

// Float writes a number; in JSON, in its shortest form. It writes null if f is not
// finite.
func (w *Writer) Float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.Null()
		return
	}
	w.comma()
	if w.format == JSON {
		w.buf = appendJSONFloat(w.buf, f)
		return
	}
	w.buf = msgp.AppendFloat64(w.buf, f)
}

// appendJSONFloat writes numbers as JavaScript does: with an exponent only below
// 1e-6 and from 1e21, and without padding in the exponent. There are two
// exceptions, because readers treat numbers without point and exponent as exact
// integers: numbers from 2^53 have all their digits, and -0 is written as -0.0.
func appendJSONFloat(b []byte, f float64) []byte {
	switch a := math.Abs(f); {
	case a == 0 && math.Signbit(f):
		return append(b, "-0.0"...)
	case a >= 1<<53 && a < 1e21:
		return strconv.AppendFloat(b, f, 'f', 0, 64)
	case a == 0 || a >= 1e-6 && a < 1e21:
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

// Bytes writes binary data: bin in MessagePack, base64 in JSON.
func (w *Writer) Bytes(b []byte) {
	w.comma()
	if w.format == JSON {
		w.buf = append(w.buf, '"')
		w.buf = AppendBase64(w.buf, b)
		w.buf = append(w.buf, '"')
		return
	}
	w.buf = msgp.AppendBytes(w.buf, b)
}

// Time writes a time as text.
func (w *Writer) Time(t matcher.Time) {
	var scratch [40]byte
	w.ASCII(t.AppendTo(scratch[:0]))
}

// ID writes an id as text.
func (w *Writer) ID(id matcher.ID) {
	var scratch [36]byte
	b := scratch[:0]
	for i, c := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	w.ASCII(b)
}

// ASCII writes text that needs no escapes.
func (w *Writer) ASCII(s []byte) {
	w.comma()
	if w.format == JSON {
		w.buf = append(w.buf, '"')
		w.buf = append(w.buf, s...)
		w.buf = append(w.buf, '"')
		return
	}
	w.buf = msgp.AppendStringFromBytes(w.buf, s)
}

// String writes text.
func (w *Writer) String(s string) {
	w.comma()
	if w.format == JSON {
		w.buf = appendJSONString(w.buf, s)
		return
	}
	w.buf = msgp.AppendString(w.buf, s)
}

// Raw writes a value that a Writer of the same format has written.
func (w *Writer) Raw(encoded []byte) {
	w.comma()
	w.buf = append(w.buf, encoded...)
}

// Value writes a value of a request.
func (w *Writer) Value(v Value) {
	if w.format == MessagePack {
		w.Raw(v.packed)
		return
	}
	t := newTape()
	defer t.release()
	if err := t.parseMessagePack(v.packed); err != nil {
		panic("wire: " + err.Error()) // cannot happen: echo wrote it
	}
	w.node(t.root())
}

// node writes v. It recurses at most depthMax deep, because the parser allows no
// deeper values.
func (w *Writer) node(v value) {
	n := v.nodes[0]
	rest := v.nodes[1:n.size]
	switch n.kind {
	case kindNull:
		w.Null()
	case kindBool:
		w.Bool(n.num != 0)
	case kindInt:
		w.Int(int64(n.num))
	case kindUint:
		w.Uint(n.num)
	case kindFloat:
		w.Float(math.Float64frombits(n.num))
	case kindString:
		w.String(n.text)
	case kindBinary:
		w.Bytes([]byte(n.text))
	case kindArray:
		w.Array(int(n.num))
		for ; len(rest) > 0; rest = rest[rest[0].size:] {
			w.node(value{rest})
		}
		w.EndArray()
	case kindObject:
		w.Object()
		for ; len(rest) > 0; rest = rest[1+rest[1].size:] {
			w.Key(rest[0].text)
			w.node(value{rest[1:]})
		}
		w.EndObject()
	}
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes s. It escapes only the characters that JSON requires to
// be escaped.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[done:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = utf8.AppendRune(b, utf8.RuneError)
		}
		i++
		done = i
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}
