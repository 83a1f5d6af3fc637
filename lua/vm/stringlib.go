package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringLib is the string library. Bytes are bytes: upper and lower change
// ASCII letters only, where gopher-lua's would damage what is not UTF-8.
func (lib *Library) stringLib() *glua.LTable {
	t := newTable()
	for name, f := range map[string]glua.LGFunction{
		"char": stringChar, "len": stringLen, "sub": stringSub, "gfind": stringGmatch, "byte": stringByte, "rep": stringRep, "reverse": stringReverse,
		"lower": mapBytes(lower), "upper": mapBytes(upper), "format": stringFormat,
		"find": stringFind, "match": stringMatch, "gmatch": stringGmatch, "gsub": stringGsub,
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}

// bounds turns Lua's from and to (from 1, negative from the end, inclusive)
// into a range of Go.
func bounds(length, from, to int) (start, end int) {
	if from < 0 {
		from = max(length+from+1, 1)
	}
	if to < 0 {
		to = length + to + 1
	}
	start, end = max(from, 1)-1, min(to, length)
	return start, max(start, end)
}

func stringChar(l *glua.LState) int {
	taskOf(l).charge(l, l.GetTop()/2)
	taskOf(l).reserve(l, 2*l.GetTop())
	out := make([]byte, l.GetTop())
	for i := range out {
		c := checkInt(l, i+1)
		if c < 0 || c > 255 {
			l.ArgError(i+1, "invalid value")
		}
		out[i] = byte(c)
	}
	l.Push(glua.LString(out))
	return 1
}

func stringLen(l *glua.LState) int {
	l.Push(glua.LNumber(len(checkText(l, 1))))
	return 1
}

func stringByte(l *glua.LState) int {
	s := checkText(l, 1)
	from := optInt(l, 2, 1)
	start, end := bounds(len(s), from, optInt(l, 3, from))
	if end-start > maxResults {
		l.RaiseError("string.byte: more than %d results", maxResults)
	}
	if start >= len(s) {
		return 0
	}
	taskOf(l).charge(l, end-start)
	for _, b := range []byte(s[start:end]) {
		l.Push(glua.LNumber(b))
	}
	return end - start
}

func stringRep(l *glua.LState) int {
	s, n := checkText(l, 1), max(checkInt(l, 2), 0)
	if len(s) > 0 && n > MaxString/len(s) {
		l.RaiseError("string.rep: %d times %d bytes are longer than the %d allowed", n, len(s), MaxString)
	}
	if len(s) == 0 {
		n = 0
	}
	taskOf(l).reserve(l, len(s)*n)
	l.Push(glua.LString(strings.Repeat(s, n)))
	return 1
}

func stringReverse(l *glua.LState) int {
	s := checkText(l, 1)
	taskOf(l).charge(l, len(s)/16)
	taskOf(l).reserve(l, 2*len(s))
	out := make([]byte, len(s))
	for i := range len(s) {
		out[len(s)-1-i] = s[i]
	}
	l.Push(glua.LString(out))
	return 1
}

func mapBytes(f func(byte) byte) glua.LGFunction {
	return func(l *glua.LState) int {
		s := checkText(l, 1)
		taskOf(l).charge(l, len(s)/16)
		taskOf(l).reserve(l, 2*len(s))
		out := make([]byte, len(s))
		for i := range out {
			out[i] = f(s[i])
		}
		l.Push(glua.LString(out))
		return 1
	}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func upper(b byte) byte {
	if 'a' <= b && b <= 'z' {
		b -= 'a' - 'A'
	}
	return b
}
