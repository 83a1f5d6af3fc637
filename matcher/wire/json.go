package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/bytedance/sonic/ast"
)

// numbersAsText: sonic would turn integers above int64 into floats.
var numbersAsText = &ast.VisitorOptions{OnlyNumber: true}

// parseJSON fills t from body. sonic parses, and its visitor checks nothing
// beyond grammar: what it lets pass is found by scanJSON before.
func (t *tape) parseJSON(body []byte) error {
	if !utf8.Valid(body) {
		return syntaxFault(invalidUTF8(body), "not UTF-8")
	}
	if err := scanJSON(body); err != nil {
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

// jsonSyntax finds where body is malformed, which sonic's visitor does not tell.
func jsonSyntax(body []byte, cause error) error {
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return syntaxFault(0, "%v", cause)
	}
	offset := int(syntax.Offset)
	if offset < len(body) || syntax.Error() != "unexpected end of JSON input" {
		offset = max(0, offset-1) // it counts the bytes read, the bad one included
	}
	return syntaxFault(offset, "%v", syntax)
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

// scanJSON finds what sonic's visitor does not: nesting beyond depthMax
// (before the visitor recurses), control characters in strings, and bytes
// after the outermost value. Everything else about body may be wrong still.
func scanJSON(body []byte) error {
	depth, i := 0, skipSpace(body, 0)
	if i == len(body) || body[i] != '{' && body[i] != '[' {
		if json.Valid(body) {
			return nil // one scalar: short, and refused by the binder
		}
		return jsonSyntax(body, nil)
	}
	for i < len(body) {
		switch body[i] {
		case '"':
			end := stringEnd(body, i+1)
			if end < len(body) && body[end] != '"' {
				return syntaxFault(end, "control character %#02x in a string", body[end])
			}
			i = end
		case '{', '[':
			if depth++; depth > depthMax {
				return syntaxFault(i, "nested deeper than %d", depthMax)
			}
		case '}', ']':
			if depth--; depth > 0 {
				break
			}
			if end := skipSpace(body, i+1); end < len(body) {
				return syntaxFault(end, "more bytes after the outermost value")
			}
		}
		i++
	}
	return nil
}

func skipSpace(body []byte, i int) int {
	for i < len(body) && (body[i] == ' ' || body[i] == '\n' || body[i] == '\r' || body[i] == '\t') {
		i++
	}
	return i
}

// stringEnd returns the offset of the quote that ends the string whose text
// begins at i, of a control character before it, or len(body).
func stringEnd(body []byte, i int) int {
	for {
		i += plain(body[i:])
		if i >= len(body) || body[i] != '\\' {
			return i
		}
		if i++; i == len(body) || body[i] < ' ' {
			return i
		}
		i++
	}
}

// plain returns how many bytes come before the first quote, backslash or
// control character. It looks at eight bytes at once: most of a body is
// base64 in strings.
func plain(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^'"'*ones, w^'\\'*ones
		// The top bit of a byte is set where it is below ' ', or zero after the
		// xor; a false hit is possible only above a true one.
		hit := ((w - ' '*ones) &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
		if hit &= tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// visitor fills a tape with what sonic finds.
type visitor tape

func (v *visitor) tape() *tape { return (*tape)(v) }

func (v *visitor) OnNull() error { return v.tape().add(node{kind: kindNull}) }

func (v *visitor) OnBool(b bool) error {
	n := node{kind: kindBool}
	if b {
		n.num = 1
	}
	return v.tape().add(n)
}

func (v *visitor) OnString(s string) error { return v.tape().add(node{kind: kindString, text: s}) }

func (v *visitor) OnInt64(_ int64, n json.Number) error { return v.OnFloat64(0, n) }

func (v *visitor) OnFloat64(_ float64, n json.Number) error {
	return v.tape().add(numberNode(string(n)))
}

func (v *visitor) OnObjectBegin(int) error { return v.tape().begin(kindObject) }

func (v *visitor) OnObjectKey(key string) error { return v.OnString(key) }

func (v *visitor) OnArrayBegin(int) error { return v.tape().begin(kindArray) }

func (v *visitor) OnObjectEnd() error { v.tape().end(); return nil }

func (v *visitor) OnArrayEnd() error { v.tape().end(); return nil }

// numberNode reads a number of JSON. One beyond float64 becomes infinite,
// which no field accepts.
func numberNode(s string) node {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
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
