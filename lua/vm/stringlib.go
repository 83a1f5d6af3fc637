package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringLib returns the string library. upper and lower change only ASCII letters.
// gopher-lua's functions would damage text that is not UTF-8.
func (lib *Library) stringLib() *glua.LTable {
	t := newTable()
	for name, f := range map[string]glua.LGFunction{
		"char": stringChar, "len": stringLen, "sub": stringSub, "gfind": stringGmatch, "byte": stringByte, "rep": stringRep, "reverse": stringReverse,
		"lower": mapBytes(lowerByte), "upper": mapBytes(upperByte), "format": stringFormat,
		"find": stringFind, "match": stringMatch, "gmatch": stringGmatch, "gsub": stringGsub,
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}

// byteRange converts Lua's from and to, which count from 1, are inclusive, and count
// from the end if they are negative. It returns a Go range.
func byteRange(length, from, to int) (start, end int) {
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
	executionOf(l).charge(l, l.GetTop()/2)
	executionOf(l).reserveBytes(l, 2*l.GetTop())
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
	start, end := byteRange(len(s), from, optInt(l, 3, from))
	if end-start > maxResults {
		l.RaiseError("string.byte: more than %d results", maxResults)
	}
	if start >= len(s) {
		return 0
	}
	executionOf(l).charge(l, end-start)
	for _, b := range []byte(s[start:end]) {
		l.Push(glua.LNumber(b))
	}
	return end - start
}

func stringRep(l *glua.LState) int {
	s, n := checkText(l, 1), max(checkInt(l, 2), 0)
	if len(s) > 0 && n > MaxString/len(s) {
		l.RaiseError("string.rep: a string of %d times %d bytes is longer than the %d allowed", n, len(s), MaxString)
	}
	if len(s) == 0 {
		n = 0
	}
	executionOf(l).reserveBytes(l, len(s)*n)
	l.Push(glua.LString(strings.Repeat(s, n)))
	return 1
}

func stringReverse(l *glua.LState) int {
	s := checkText(l, 1)
	executionOf(l).charge(l, len(s)/16)
	executionOf(l).reserveBytes(l, 2*len(s))
	out := make([]byte, len(s))
	for i := range len(s) {
		out[len(s)-1-i] = s[i]
	}
	l.Push(glua.LString(out))
	return 1
}

// mapBytes returns a function that applies f to each byte of a string.
func mapBytes(f func(byte) byte) glua.LGFunction {
	return func(l *glua.LState) int {
		s := checkText(l, 1)
		executionOf(l).charge(l, len(s)/16)
		executionOf(l).reserveBytes(l, 2*len(s))
		out := make([]byte, len(s))
		for i := range out {
			out[i] = f(s[i])
		}
		l.Push(glua.LString(out))
		return 1
	}
}

func lowerByte(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func upperByte(b byte) byte {
	if 'a' <= b && b <= 'z' {
		b -= 'a' - 'A'
	}
	return b
}
