package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bytedance/sonic/ast"
)

// numbersAsText makes sonic keep numbers as text. Otherwise it turns integers
// above int64 into floats.
var numbersAsText = &ast.VisitorOptions{OnlyNumber: true}

// parseJSON fills t from body.
func (t *tape) parseJSON(body []byte) error {
	body, values, err := checkJSON(body)
	if err != nil {
		return err
	}
	return t.fillJSON(body, values)
}

// checkJSON finds the faults of a text that fillJSON does not find. It returns
// the text without a byte order mark, and the number of nodes that it needs on a
// tape.
func checkJSON(body []byte) (text []byte, nodes int, err error) {
	body = skipBOM(body)
	if !utf8.Valid(body) {
		at := invalidUTF8(body)
		return nil, 0, syntaxAt(body, at, "not UTF-8: %s", quoteAround(body, at))
	}
	nodes, err = scanJSON(body)
	return body, nodes, err
}

// fillJSON fills t from a text that checkJSON has checked. sonic parses the text
// and checks only the grammar.
func (t *tape) fillJSON(body []byte, nodes int) error {
	if err := t.grow(nodes); err != nil {
		return err
	}
	err := ast.Preorder(string(body), (*visitor)(t), numbersAsText)
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*fault](err); ok {
		return own
	}
	return jsonSyntax(body, err)
}

// skipBOM replaces a byte order mark at the start of a text by spaces. So the
// offsets in errors still count its bytes.
func skipBOM(body []byte) []byte {
	rest, found := bytes.CutPrefix(body, []byte("\uFEFF"))
	if !found {
		return body
	}
	return append([]byte("   "), rest...)
}

// jsonSyntax returns the fault of a malformed body with its offset, which sonic
// does not report.
func jsonSyntax(body []byte, cause error) error {
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return syntaxFault(0, "%v", cause)
	}
	offset := int(syntax.Offset)
	if offset < len(body) || syntax.Error() != "unexpected end of JSON input" {
		offset = max(0, offset-1) // syntax.Offset counts the bad byte as read
	}
	return syntaxAt(body, offset, "%v", syntax)
}

// syntaxAt returns the fault of a body that is malformed at offset, with the path
// of the value at offset.
func syntaxAt(body []byte, offset int, format string, args ...any) error {
	return pathTo(body, offset).located(syntaxFault(offset, format, args...))
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// scanJSON finds the faults that sonic does not report: nesting beyond depthMax
// (before sonic recurses), control characters and halves of surrogate pairs in
// strings, and bytes after the outermost value. It reports other faults only if body
// does not begin with an object or an array. nodes is the number of nodes that body
// needs on a tape.
func scanJSON(body []byte) (nodes int, err error) {
	depth, i := 0, skipSpace(body, 0)
	if i == len(body) || body[i] != '{' && body[i] != '[' {
		if json.Valid(body) { // scalars
			if body[i] == '"' {
				_, err := scanString(body, i)
				return 1, err
			}
			return 1, nil // one scalar; the binder refuses it
		}
		return 0, jsonSyntax(body, nil)
	}
	for ; i < len(body); i++ {
		switch body[i] {
		case '"':
			nodes++
			if i, err = scanString(body, i); err != nil {
				return 0, err
			}
		case '{', '[':
			nodes++
			if depth++; depth > depthMax {
				return 0, syntaxAt(body, i, "nested deeper than %d levels", depthMax)
			}
		case '}', ']':
			if depth--; depth > 0 {
				break
			}
			if end := skipSpace(body, i+1); end < len(body) {
				return 0, syntaxFault(end, "more bytes after the outermost value")
			}
		case ',', ':', ' ', '\n', '\r', '\t':
		default: // a number or a word
			nodes++
			for i+1 < len(body) && !endsScalar(body[i+1]) {
				i++
			}
		}
	}
	return nodes, nil
}

// endsScalar reports whether b cannot be part of a number or a word.
func endsScalar(b byte) bool {
	switch b {
	case ',', ']', '}', ' ', '\n', '\r', '\t', ':', '"', '{', '[':
		return true
	}
	return false
}

func skipSpace(body []byte, i int) int {
	for i < len(body) && (body[i] == ' ' || body[i] == '\n' || body[i] == '\r' || body[i] == '\t') {
		i++
	}
	return i
}

// scanString returns the offset of the quote that ends the string that begins at
// i, or len(body).
func scanString(body []byte, i int) (end int, err error) {
	for i++; ; {
		i += plainLength(body[i:])
		switch {
		case i == len(body) || body[i] == '"':
			return i, nil
		case body[i] == '\\' && i+1 < len(body) && body[i+1] == 'u':
			n := escapeLength(body[i:])
			if n == 0 {
				return i, syntaxAt(body, i, "%s is half of a surrogate pair", body[i:i+len(`\uD800`)])
			}
			i += n
		case body[i] == '\\' && i+1 == len(body):
			return len(body), nil
		case body[i] == '\\' && body[i+1] >= ' ':
			i += 2
		case body[i] == '\\':
			i++
			fallthrough
		default:
			return i, syntaxAt(body, i, "control character %#02x in a string", body[i])
		}
	}
}

// CheckSurrogates refuses JSON with half of a surrogate pair in a string.
func CheckSurrogates(text []byte) error {
	if !bytes.Contains(text, []byte(`\u`)) {
		return nil
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		end, err := scanString(text, i)
		if err != nil {
			return clientError(err)
		}
		i = end
	}
	return nil
}

// escapeLength returns the length of the escape \uXXXX at the start of b, or of
// both escapes of a surrogate pair. It returns 0 for half of a pair, and 2 if the
// digits are wrong, which sonic refuses later.
func escapeLength(b []byte) int {
	first, ok := unicodeEscape(b)
	switch {
	case !ok:
		return len(`\u`)
	case !utf16.IsSurrogate(first):
		return len(`\uXXXX`)
	}
	if second, ok := unicodeEscape(b[len(`\uXXXX`):]); ok && utf16.DecodeRune(first, second) != utf8.RuneError {
		return 2 * len(`\uXXXX`)
	}
	return 0
}

// unicodeEscape reads \uXXXX.
func unicodeEscape(b []byte) (r rune, ok bool) {
	if len(b) < len(`\uXXXX`) || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// plainLength returns the number of bytes before the first quote, backslash or
// control character.
func plainLength(b []byte) int {
	n, _ := plainText(b)
	return n
}

// plainText returns plainLength of b. ascii is true if all bytes before that length are
// ASCII, and may be false if only bytes after it are not. It tests eight bytes at once,
// because most of a body is base64.
func plainText(b []byte) (n int, ascii bool) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i, all := 0, uint64(0)
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^'"'*ones, w^'\\'*ones
		// A byte's top bit is set if the byte is below ' ' or equals a quote or a
		// backslash. A borrow can set the bit of a byte that does not match, but only
		// after a byte that matches, and only the first bit that is set is used.
		hit := ((w - ' '*ones) &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
		all |= w
		if hit &= tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8, all&tops == 0
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		all |= uint64(b[i])
		i++
	}
	return i, all&tops == 0
}

// visitor fills a tape with the values that sonic parses.
type visitor tape

func (v *visitor) tape() *tape { return (*tape)(v) }

func (v *visitor) OnNull() error { return v.tape().addNode(node{kind: kindNull}) }

func (v *visitor) OnBool(b bool) error {
	n := node{kind: kindBool}
	if b {
		n.num = 1
	}
	return v.tape().addNode(n)
}

func (v *visitor) OnString(s string) error { return v.tape().addNode(node{kind: kindString, text: s}) }

func (v *visitor) OnInt64(_ int64, n json.Number) error { return v.OnFloat64(0, n) }

func (v *visitor) OnFloat64(_ float64, n json.Number) error {
	return v.tape().addNode(numberNode(string(n)))
}

func (v *visitor) OnObjectBegin(int) error { return v.tape().beginContainer(kindObject) }

func (v *visitor) OnObjectKey(key string) error { return v.OnString(key) }

func (v *visitor) OnArrayBegin(int) error { return v.tape().beginContainer(kindArray) }

func (v *visitor) OnObjectEnd() error { v.tape().endContainer(); return nil }

func (v *visitor) OnArrayEnd() error { v.tape().endContainer(); return nil }

// numberNode reads a JSON number. A number beyond float64 becomes infinite, which
// no field accepts.
func numberNode(s string) node {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && s != "-0" {
		return node{kind: kindInt, num: uint64(i)}
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return node{kind: kindUint, num: u}
	}
	f, err := strconv.ParseFloat(s, 64)
	n := floatNode(f)
	if err != nil {
		n.text = s
	}
	return n
}
