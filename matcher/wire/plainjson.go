package wire

import (
	"encoding/json"
	"unicode/utf8"
	"unsafe"
)

// plainParser fills a tape from JSON whose strings have no escapes, as nearly all lines
// of an import are. It reads the text once, and the strings of its nodes are parts of
// the text, not of a copy. It gives up at all other texts, also at malformed ones. Then
// checkJSON and fillJSON read them, which know escapes and report faults.
type plainParser struct {
	tape *tape
	text []byte
	at   int // offset of the next byte
}

const plainNodesMax = 4096

// fillPlain fills t from text and reports whether it could. If not, t is unchanged. The
// strings of t are valid until text changes.
func (t *tape) fillPlain(text []byte) bool {
	p := plainParser{tape: t, text: text}
	p.skipSpace()
	ok := p.value()
	if p.skipSpace(); !ok || p.at < len(text) {
		clear(t.nodes)
		t.nodes, t.depth = t.nodes[:0], 0
		return false
	}
	return true
}

// add adds a node and reports whether there was room.
func (p *plainParser) add(n node) bool {
	return len(p.tape.nodes) < plainNodesMax && p.tape.addNode(n) == nil
}

func (p *plainParser) skipSpace() { p.at = skipSpace(p.text, p.at) }

// next returns the next byte, or 0 at the end of the text.
func (p *plainParser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// skip skips b and the space around it. It reports whether b was the next byte.
func (p *plainParser) skip(b byte) bool {
	p.skipSpace()
	if p.next() != b {
		return false
	}
	p.at++
	p.skipSpace()
	return true
}

// value reads one value. Its recursion ends at depthMax.
func (p *plainParser) value() bool {
	switch p.next() {
	case '"':
		return p.string()
	case '{':
		return p.container(kindObject, '}')
	case '[':
		return p.container(kindArray, ']')
	default:
		return p.scalar()
	}
}

// container reads an object or an array, which ends with the byte end.
func (p *plainParser) container(k kind, end byte) bool {
	if len(p.tape.nodes) >= plainNodesMax || p.tape.beginContainer(k) != nil {
		return false
	}
	p.at++
	p.skipSpace()
	if p.next() == end {
		p.at++
		p.tape.endContainer()
		return true
	}
	for {
		if k == kindObject && (p.next() != '"' || !p.string() || !p.skip(':')) {
			return false
		}
		if !p.value() {
			return false
		}
		if p.skip(',') {
			continue
		}
		if p.next() != end {
			return false
		}
		p.at++
		p.tape.endContainer()
		return true
	}
}

// string reads a string without escapes.
func (p *plainParser) string() bool {
	begin := p.at + 1
	n, ascii := plainText(p.text[begin:])
	end := begin + n
	if end == len(p.text) || p.text[end] != '"' || !ascii && !utf8.Valid(p.text[begin:end]) {
		return false
	}
	p.at = end + 1
	return p.add(node{kind: kindString, text: p.part(begin, end)})
}

// part returns a part of the text without copying it.
func (p *plainParser) part(begin, end int) string {
	return unsafe.String(unsafe.SliceData(p.text[begin:]), end-begin)
}

// scalar reads a number, true, false or null.
func (p *plainParser) scalar() bool {
	begin, number, digits := p.at, uint64(0), true
	for ; p.at < len(p.text) && !endsScalar(p.text[p.at]); p.at++ {
		b := p.text[p.at]
		digits = digits && b >= '0' && b <= '9'
		number = 10*number + uint64(b-'0')
	}
	const digitsMax = 18 // fit in an int64
	var n node
	switch text := p.part(begin, p.at); {
	case text == "":
		return false
	case digits && len(text) <= digitsMax && (text[0] != '0' || len(text) == 1):
		n = node{kind: kindInt, num: number}
	case text == "null":
	case text == "true":
		n = node{kind: kindBool, num: 1}
	case text == "false":
		n.kind = kindBool
	case json.Valid(p.text[begin:p.at]):
		n = numberNode(text)
	default:
		return false
	}
	return p.add(n)
}
