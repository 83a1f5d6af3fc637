package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// oneByte are the strings of one byte: most substrings are.
var oneByte = func() (all [256]glua.LValue) {
	for i := range all {
		all[i] = glua.LString([]byte{byte(i)})
	}
	return all
}()

// part is src[begin:end] as a string of its own: a slice would keep all of src
// alive, which memory could not tell.
func part(t *task, src string, begin, end int) glua.LValue {
	switch n := end - begin; n {
	case 0:
		return glua.LString("")
	case 1:
		return oneByte[src[begin]]
	case len(src):
		return glua.LString(src)
	default:
		t.allocated(boxBytes + n)
		return glua.LString(strings.Clone(src[begin:end]))
	}
}

func stringSub(l *glua.LState) int {
	s := checkText(l, 1)
	start, end := bounds(len(s), checkInt(l, 2), optInt(l, 3, -1))
	if start >= end {
		l.Push(glua.LString(""))
		return 1
	}
	l.Push(part(taskOf(l), s, start, end))
	return 1
}

// pushText pushes what was built, without the room that the builder has left:
// it would live as long as the string.
func pushText(l *glua.LState, b *strings.Builder) {
	t := taskOf(l)
	t.allocated(boxBytes)
	l.Push(trimmed(t, b))
}

// trimmed is what was built without that room.
func trimmed(t *task, b *strings.Builder) glua.LValue {
	s := b.String()
	if room := b.Cap() - b.Len(); room > 8 && room > b.Len()/8 {
		t.allocated(b.Len())
		s = strings.Clone(s)
	}
	return glua.LString(s)
}

// addText appends to what is built, within the bound of a string, and charges
// for it.
func addText(l *glua.LState, b *strings.Builder, s string) {
	checkLength(l, b.Len()+len(s))
	if n := b.Len() + len(s); n > b.Cap() && n > longText {
		taskOf(l).reserve(l, 2*b.Cap()+len(s))
		b.Grow(len(s)) // to that
	} else if len(s) > longText {
		taskOf(l).charge(l, len(s)/bytesPerUnit)
	}
	b.WriteString(s)
}
