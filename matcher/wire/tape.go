package wire

import (
	"fmt"
	"slices"
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

// node is a value of a body. The elements of an array follow its node; the fields
// of an object follow its node as key, value, key, value.
type node struct {
	kind kind
	size uint32 // nodes up to the next sibling: 1, or more for a container
	num  uint64 // bool, int64, uint64 or float64 bits; of a container, the number of elements or fields
	text string // string or binary; of a number that an error must quote as given, its text in the request
}

// tape is a parsed body: its nodes in the order of the text. The strings of its
// nodes are parts of one copy of the body.
type tape struct {
	nodes []node
	open  [depthMax]uint32 // containers that are not ended yet, outermost first
	depth int
}

// tapes keeps small tapes for reuse: an import reads one per line.
var tapes = sync.Pool{New: func() any { return &tape{nodes: make([]node, 0, 64)} }}

func newTape() *tape { return tapes.Get().(*tape) }

func (t *tape) release() {
	const nodesKept = 16 << 10 // 512 KiB
	if cap(t.nodes) > nodesKept {
		return
	}
	clear(t.nodes) // their texts keep the copy of the body in memory
	t.nodes, t.depth = t.nodes[:0], 0
	tapes.Put(t)
}

// grow makes room for that many nodes, so that adding them does not copy the
// tape.
func (t *tape) grow(nodes int) error {
	if nodes > nodesMax {
		return errTooManyValues
	}
	t.nodes = slices.Grow(t.nodes, nodes)
	return nil
}

func (t *tape) root() value { return value{t.nodes} }

func (t *tape) addNode(n node) error {
	if len(t.nodes) == nodesMax {
		return errTooManyValues
	}
	if t.depth > 0 {
		t.nodes[t.open[t.depth-1]].num++
	}
	n.size = 1
	t.nodes = append(t.nodes, n)
	return nil
}

// beginContainer adds a container. All nodes up to endContainer belong to it.
func (t *tape) beginContainer(k kind) error {
	if t.depth == depthMax {
		return errDepth
	}
	if err := t.addNode(node{kind: k}); err != nil {
		return err
	}
	t.open[t.depth] = uint32(len(t.nodes) - 1)
	t.depth++
	return nil
}

func (t *tape) endContainer() {
	t.depth--
	i := t.open[t.depth]
	n := &t.nodes[i]
	n.size = uint32(len(t.nodes)) - i
	if n.kind == kindObject {
		n.num /= 2 // keys and values were counted
	}
}

// located returns err with a path before its own: that of the next value to be
// added. In an object whose next key was not read yet, it is the path of the
// object.
func (t *tape) located(err error) error {
	for d := t.depth - 1; d >= 0; d-- {
		container, last := t.nodes[t.open[d]], len(t.nodes)-1
		inner := d+1 < t.depth
		if inner {
			last = int(t.open[d+1]) - 1
		}
		switch {
		case container.kind == kindArray && inner:
			err = within(indexName(int(container.num)-1), err)
		case container.kind == kindArray:
			err = within(indexName(int(container.num)), err)
		case inner || container.num%2 == 1: // the last node is the key
			err = within(matcher.Shorten(t.nodes[last].text), err)
		}
	}
	return err
}

// errTooManyValues is the fault of a whole body.
var errTooManyValues = &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("must have at most %d values", nodesMax)}

var errDepth = &fault{code: matcher.CodeSyntax, message: fmt.Sprintf("nested deeper than %d levels", depthMax)}

// syntaxFault returns the fault of a body that is malformed at offset.
func syntaxFault(offset int, format string, args ...any) error {
	return &fault{code: matcher.CodeSyntax, message: fmt.Sprintf("byte %d: ", offset) + fmt.Sprintf(format, args...)}
}

// Value is a part of a request that the answer repeats. It needs about as many
// bytes as in the request. The zero Value is absent.
type Value struct {
	packed []byte // as MessagePack
	size   int    // see Size
}

// IsZero reports whether v is absent.
func (v Value) IsZero() bool { return v.packed == nil }

// Size is an upper bound, in bytes, of the size of v in an answer.
func (v Value) Size() int { return v.size }

// echo returns a copy of v. It refuses numbers that JSON cannot write.
func (v value) echo() (Value, error) {
	if err := v.checkNumbers(); err != nil {
		return Value{}, err
	}
	const longestNumber = 24
	size := 0
	for _, n := range v.nodes[:v.nodes[0].size] {
		size += len(n.text) + longestNumber
	}
	w := NewWriter(nil, MessagePack)
	w.node(v)
	return Value{slices.Clip(w.Done()), size}, nil
}
