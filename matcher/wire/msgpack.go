package wire

import (
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// parseMessagePack fills t from body. It allocates memory only for values that
// are present, whatever lengths the body declares.
func (t *tape) parseMessagePack(body []byte) error {
	return t.fillMessagePack(body, countMessagePack(body))
}

// countMessagePack returns the number of nodes that the outermost value of body
// needs on a tape. It stops at the first fault; fillMessagePack reports it.
func countMessagePack(body []byte) (nodes int) {
	var left [depthMax]uint64 // values still to come in each open container
	depth := 0
	for rest, err := body, error(nil); len(rest) > 0; {
		nodes++
		values := uint64(0)
		var n uint32
		switch msgp.NextType(rest) {
		case msgp.MapType:
			n, rest, err = msgp.ReadMapHeaderBytes(rest)
			values = 2 * uint64(n)
		case msgp.ArrayType:
			n, rest, err = msgp.ReadArrayHeaderBytes(rest)
			values = uint64(n)
		default:
			rest, err = msgp.Skip(rest)
		}
		switch {
		case err != nil || values > 0 && depth == depthMax:
			return nodes
		case values > 0:
			left[depth] = values
			depth++
			continue
		}
		for ; depth > 0; depth-- {
			if left[depth-1]--; left[depth-1] > 0 {
				break
			}
		}
		if depth == 0 {
			return nodes
		}
	}
	return nodes
}

// fillMessagePack fills t from a body that needs that many nodes.
func (t *tape) fillMessagePack(body []byte, nodes int) error {
	if err := t.grow(nodes); err != nil {
		return err
	}
	p := packParser{tape: t, body: body, text: string(body), rest: body}
	switch err := p.value(); {
	case errors.Is(err, errTooManyValues):
		return err
	case err != nil:
		return t.located(err) // the containers around the fault are still open
	}
	if len(p.rest) > 0 {
		return syntaxFault(p.offset(), "more bytes after the outermost value")
	}
	return nil
}

type packParser struct {
	tape *tape
	body []byte
	text string // a copy of body; strings of nodes are parts of it
	rest []byte // the part of body that was not read yet
}

func (p *packParser) offset() int { return len(p.body) - len(p.rest) }

// value reads one value; its recursion ends at depthMax.
func (p *packParser) value() error {
	switch typ := msgp.NextType(p.rest); typ {
	case msgp.MapType, msgp.ArrayType:
		return p.container(typ)
	case msgp.StrType:
		return p.string()
	case msgp.BinType:
		v, rest, err := msgp.ReadBytesZC(p.rest)
		if err != nil {
			return p.malformed(err)
		}
		p.rest = rest
		return p.tape.addNode(node{kind: kindBinary, text: p.textOf(v)})
	case msgp.ExtensionType, msgp.TimeType, msgp.Complex64Type, msgp.Complex128Type:
		return p.refuse("a value of an extension type is not accepted; times are text")
	case msgp.InvalidType:
		if len(p.rest) == 0 {
			return p.malformed(msgp.ErrShortBytes)
		}
		return syntaxFault(p.offset(), "no value begins with %#02x", p.rest[0])
	default:
		return p.scalar(typ)
	}
}

func (p *packParser) scalar(typ msgp.Type) error {
	var n node
	var rest []byte
	var err error
	switch typ {
	case msgp.NilType:
		rest, err = msgp.ReadNilBytes(p.rest)
	case msgp.BoolType:
		var b bool
		if b, rest, err = msgp.ReadBoolBytes(p.rest); b {
			n.num = 1
		}
		n.kind = kindBool
	case msgp.IntType:
		var i int64
		i, rest, err = msgp.ReadInt64Bytes(p.rest)
		n = node{kind: kindInt, num: uint64(i)}
	case msgp.UintType:
		var u uint64
		if u, rest, err = msgp.ReadUint64Bytes(p.rest); u > math.MaxInt64 {
			n = node{kind: kindUint, num: u}
		} else {
			n = node{kind: kindInt, num: u}
		}
	case msgp.Float32Type:
		var f float32
		f, rest, err = msgp.ReadFloat32Bytes(p.rest)
		n = floatNode(float64(f))
	case msgp.Float64Type:
		var f float64
		f, rest, err = msgp.ReadFloat64Bytes(p.rest)
		n = floatNode(f)
	default:
		return syntaxFault(p.offset(), "%v is not accepted", typ)
	}
	if err != nil {
		return p.malformed(err)
	}
	p.rest = rest
	return p.tape.addNode(n)
}

func (p *packParser) container(typ msgp.Type) error {
	begin, k, read := p.offset(), kindArray, msgp.ReadArrayHeaderBytes
	if typ == msgp.MapType {
		k, read = kindObject, msgp.ReadMapHeaderBytes
	}
	n, rest, err := read(p.rest)
	if err != nil {
		return p.malformed(err)
	}
	if int64(n) > int64(len(rest)) { // each value has at least one byte
		return syntaxFault(begin, "%d elements are declared, but %d bytes follow", n, len(rest))
	}
	if err := p.tape.beginContainer(k); err != nil {
		if errors.Is(err, errDepth) {
			return syntaxFault(begin, "%s", errDepth.message)
		}
		return err
	}
	p.rest = rest
	for range n {
		if k == kindObject {
			if err := p.key(); err != nil {
				return err
			}
		}
		if err := p.value(); err != nil {
			return err
		}
	}
	p.tape.endContainer()
	return nil
}

func (p *packParser) key() error {
	if typ := msgp.NextType(p.rest); typ != msgp.StrType && len(p.rest) > 0 {
		return p.refuse("a key of type %v is not accepted; keys are text", typ)
	}
	return p.string()
}

func (p *packParser) string() error {
	v, rest, err := msgp.ReadStringZC(p.rest)
	if err != nil {
		return p.malformed(err)
	}
	if !utf8.Valid(v) {
		at := invalidUTF8(v)
		return syntaxFault(len(p.body)-len(rest)-len(v)+at, "not UTF-8: %s", quoteAround(v, at))
	}
	p.rest = rest
	return p.tape.addNode(node{kind: kindString, text: p.textOf(v)})
}

// refuse returns the fault for a value at the current offset.
func (p *packParser) refuse(format string, args ...any) error {
	return badInput("byte %d: "+format, append([]any{p.offset()}, args...)...)
}

// quoteAround quotes the part of a text around the byte at an offset.
func quoteAround(v []byte, at int) string {
	const before, after = 24, 8
	return strconv.Quote(string(v[max(0, at-before):min(len(v), at+after)]))
}

// textOf returns v as a part of text. v must end where rest begins.
func (p *packParser) textOf(v []byte) string {
	end := p.offset()
	return p.text[end-len(v) : end]
}

func (p *packParser) malformed(err error) error {
	if errors.Is(err, msgp.ErrShortBytes) {
		return syntaxFault(len(p.body), "unexpected end of MessagePack input")
	}
	return syntaxFault(p.offset(), "%v", err)
}
