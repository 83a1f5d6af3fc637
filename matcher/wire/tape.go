package wire

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"nearside/matcher"
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindUint // an integer above the largest int64
	kindFloat
	kindString
	kindBinary // MessagePack only
	kindArray
	kindObject
)

// node is a value of a body. A container is followed by its elements, an
// object's being key, value, key, value.
type node struct {
	kind kind
	size uint32 // nodes up to the next sibling: 1, or more for a container
	num  uint64 // bool, int64, uint64 or float64 bits; of a container, its elements or fields
	text string // string or binary; of an infinite number, how it was written
}

// tape is a parsed body: its nodes in the order of the text. Its strings are
// parts of one copy of the body and die with it.
type tape struct {
	nodes []node
	open  [depthMax]uint32 // containers not yet ended, outermost first
	depth int
}

// tapes keeps small tapes: an import reads one per line.
var tapes = sync.Pool{New: func() any { return &tape{nodes: make([]node, 0, 64)} }}

func newTape() *tape { return tapes.Get().(*tape) }

func (t *tape) release() {
	const most = 16 << 10 // nodes: half a megabyte
	if cap(t.nodes) > most {
		return
	}
	clear(t.nodes) // they point into the body
	t.nodes, t.depth = t.nodes[:0], 0
	tapes.Put(t)
}

func (t *tape) root() value { return value{t.nodes} }

func (t *tape) add(n node) error {
	if len(t.nodes) == nodesMax {
		return &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("more than %d values", nodesMax)}
	}
	if t.depth > 0 {
		t.nodes[t.open[t.depth-1]].num++
	}
	n.size = 1
	t.nodes = append(t.nodes, n)
	return nil
}

// begin opens a container, to which everything belongs until end.
func (t *tape) begin(k kind) error {
	if t.depth == depthMax {
		return errDepth
	}
	if err := t.add(node{kind: k}); err != nil {
		return err
	}
	t.open[t.depth] = uint32(len(t.nodes) - 1)
	t.depth++
	return nil
}

func (t *tape) end() {
	t.depth--
	i := t.open[t.depth]
	n := &t.nodes[i]
	n.size = uint32(len(t.nodes)) - i
	if n.kind == kindObject {
		n.num /= 2 // keys were counted as well
	}
}

var errDepth = &fault{code: matcher.CodeSyntax, message: fmt.Sprintf("nested deeper than %d", depthMax)}

// syntaxFault returns the fault of a body that is malformed at an offset.
func syntaxFault(offset int, format string, args ...any) error {
	return &fault{code: matcher.CodeSyntax, message: fmt.Sprintf("byte %d: ", offset) + fmt.Sprintf(format, args...)}
}

// Value is a value of a request that is echoed in its answer as it was given:
// of JSON, or what MessagePack has of it. The zero Value is "none".
type Value struct{ nodes []node }

// IsZero reports whether v is "none".
func (v Value) IsZero() bool { return v.nodes == nil }

// Size is at most how many bytes v takes in an answer, about.
func (v Value) Size() int {
	const scalar = 24 // the longest number
	size := 0
	for _, n := range v.nodes {
		size += len(n.text) + scalar
	}
	return size
}

// echo copies v with all that it refers to. Numbers that JSON cannot write
// are refused.
func (v value) echo() (Value, error) {
	nodes := append([]node(nil), v.nodes[:v.nodes[0].size]...)
	length := 0
	for _, n := range nodes {
		if f := math.Float64frombits(n.num); n.kind == kindFloat && (math.IsInf(f, 0) || math.IsNaN(f)) {
			return Value{}, badInput("%v is not a finite number", f)
		}
		length += len(n.text)
	}
	var text strings.Builder // one allocation for all of them
	text.Grow(length)
	for _, n := range nodes {
		text.WriteString(n.text)
	}
	rest := text.String()
	for i := range nodes {
		n := len(nodes[i].text)
		nodes[i].text, rest = rest[:n], rest[n:]
	}
	return Value{nodes}, nil
}
