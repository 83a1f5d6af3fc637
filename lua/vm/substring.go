package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// oneByte holds all strings of one byte, the most frequent substrings.
var oneByte = func() (all [256]glua.LValue) {
	for i := range all {
		all[i] = glua.LString([]byte{byte(i)})
	}
	return all
}()

// substring returns a copy of src[begin:end]. A slice would keep all of src alive,
// which the measurement of memory would not notice.
func substring(ex *execution, src string, begin, end int) glua.LValue {
	switch n := end - begin; n {
	case 0:
		return glua.LString("")
	case 1:
		return oneByte[src[begin]]
	case len(src):
		return glua.LString(src)
	default:
		ex.countAllocated(boxBytes + n)
		return glua.LString(strings.Clone(src[begin:end]))
	}
}

func stringSub(l *glua.LState) int {
	s := checkText(l, 1)
	start, end := byteRange(len(s), checkInt(l, 2), optInt(l, 3, -1))
	if start >= end {
		l.Push(glua.LString(""))
		return 1
	}
	l.Push(substring(executionOf(l), s, start, end))
	return 1
}

// pushText pushes the text of b without unused capacity.
func pushText(l *glua.LState, b *strings.Builder) {
	ex := executionOf(l)
	ex.countAllocated(boxBytes)
	l.Push(builtText(ex, b))
}

// builtText returns the text of b. It copies the text if b has much unused capacity,
// which would live as long as the text.
func builtText(ex *execution, b *strings.Builder) glua.LValue {
	s := b.String()
	if room := b.Cap() - b.Len(); room > 8 && room > b.Len()/8 {
		ex.countAllocated(b.Len())
		s = strings.Clone(s)
	}
	return glua.LString(s)
}

// appendText appends s to b and charges for it. It raises an error if the text
// exceeds MaxString.
func appendText(l *glua.LState, b *strings.Builder, s string) {
	checkLength(l, b.Len()+len(s))
	if n := b.Len() + len(s); n > b.Cap() && n > freeTextBytes {
		executionOf(l).reserveBytes(l, 2*b.Cap()+len(s))
		b.Grow(len(s)) // to the reserved capacity
	} else if len(s) > freeTextBytes {
		executionOf(l).charge(l, len(s)/bytesPerUnit)
	}
	b.WriteString(s)
}
