package wire

import (
	"errors"
	"math"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// parseMessagePack fills t from body. A declared length allocates nothing:
// nodes are added as their values are found.
func (t *tape) parseMessagePack(body []byte) error {
	p := packParser{tape: t, body: body, text: string(body), rest: body}
	if err := p.value(); err != nil {
		return err
	}
	if len(p.rest) > 0 {
		return syntaxFault(p.offset(), "more bytes after the outermost value")
	}
	return nil
}

type packParser struct {
	tape *tape
	body []byte
	text string // body, which strings are cut from
	rest []byte // of body: what was not read yet
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
		return p.tape.add(node{kind: kindBinary, text: p.last(v)})
	case msgp.ExtensionType, msgp.TimeType, msgp.Complex64Type, msgp.Complex128Type:
		return badInput("byte %d: extension types are not accepted; times are text", p.offset())
	case msgp.InvalidType:
		if len(p.rest) == 0 {
			return p.malformed(msgp.ErrShortBytes)
		}
		return syntaxFault(p.offset(), "%#02x begins no value", p.rest[0])
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
	return p.tape.add(n)
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
	if int64(n) > int64(len(rest)) { // a value has at least a byte
		return syntaxFault(begin, "%d elements are declared, but %d bytes follow", n, len(rest))
	}
	if err := p.tape.begin(k); err != nil {
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
	p.tape.end()
	return nil
}

func (p *packParser) key() error {
	if typ := msgp.NextType(p.rest); typ != msgp.StrType && len(p.rest) > 0 {
		return badInput("byte %d: a key of type %v; keys are text", p.offset(), typ)
	}
	return p.string()
}

func (p *packParser) string() error {
	v, rest, err := msgp.ReadStringZC(p.rest)
	if err != nil {
		return p.malformed(err)
	}
	if !utf8.Valid(v) {
		return syntaxFault(len(p.body)-len(rest)-len(v)+invalidUTF8(v), "not UTF-8")
	}
	p.rest = rest
	return p.tape.add(node{kind: kindString, text: p.last(v)})
}

// last returns v, which ends where rest begins, as a part of text.
func (p *packParser) last(v []byte) string {
	end := p.offset()
	return p.text[end-len(v) : end]
}

func (p *packParser) malformed(err error) error {
	if errors.Is(err, msgp.ErrShortBytes) {
		return syntaxFault(len(p.body), "unexpected end of MessagePack input")
	}
	return syntaxFault(p.offset(), "%v", err)
}
