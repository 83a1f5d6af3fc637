package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// search looks for the pattern at start and after it. It returns the start and the
// end of the first match, or -1, -1.
func (m *matcher) search(start int) (begin, end int) {
	p, anchored := 0, false
	if strings.HasPrefix(m.pat, "^") {
		p, anchored = 1, true
	}
	for s := start; s <= len(m.src); s++ {
		m.level = 0
		if e := m.match(s, p); e != -1 {
			return s, e
		}
		if anchored {
			break
		}
	}
	return -1, -1
}

// capture returns capture i, from 0, of the match from begin to end. If the pattern
// has no captures, capture 0 is the whole match.
func (m *matcher) capture(i, begin, end int) glua.LValue {
	if i >= m.level {
		if i != 0 {
			m.l.RaiseError("invalid capture index")
		}
		return substring(m.exec, m.src, begin, end)
	}
	c := m.captures[i]
	switch c.length {
	case openCapture:
		m.l.RaiseError("unfinished capture")
	case positionCapture:
		return glua.LNumber(c.start + 1)
	}
	return substring(m.exec, m.src, c.start, c.start+c.length)
}

// pushCaptures pushes all captures and returns their number. If there are none and
// whole is true, it pushes the whole match.
func (m *matcher) pushCaptures(begin, end int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.l.Push(m.capture(i, begin, end))
	}
	return n
}

// initialOffset converts the optional argument 3 of find and match to an offset in
// a text of the given length.
func initialOffset(l *glua.LState, length int) int {
	start := optInt(l, 3, 1)
	if start < 0 {
		start = max(length+start+1, 1)
	}
	return min(max(start, 1)-1, length)
}

func stringFind(l *glua.LState) int {
	src, pat := checkText(l, 1), checkText(l, 2)
	start := initialOffset(l, len(src))
	if glua.LVAsBool(l.Get(4)) || !strings.ContainsAny(pat, "^$*+?.([%-") {
		executionOf(l).charge(l, (len(src)-start+len(pat))/16)
		i := strings.Index(src[start:], pat)
		if i < 0 {
			l.Push(glua.LNil)
			return 1
		}
		l.Push(glua.LNumber(start + i + 1))
		l.Push(glua.LNumber(start + i + len(pat)))
		return 2
	}
	m := newMatcher(l, src, pat)
	begin, end := m.search(start)
	if begin < 0 {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LNumber(begin + 1))
	l.Push(glua.LNumber(end))
	return 2 + m.pushCaptures(begin, end, false)
}

func stringMatch(l *glua.LState) int {
	src := checkText(l, 1)
	m := newMatcher(l, src, checkText(l, 2))
	begin, end := m.search(initialOffset(l, len(src)))
	if begin < 0 {
		l.Push(glua.LNil)
		return 1
	}
	return m.pushCaptures(begin, end, true)
}

func stringGmatch(l *glua.LState) int {
	src, pat := checkText(l, 1), checkText(l, 2)
	next := 0
	l.Push(l.NewClosure(func(l *glua.LState) int {
		m := newMatcher(l, src, pat)
		if next > len(src) {
			return 0
		}
		begin, end := m.searchUnanchored(next)
		if begin < 0 {
			next = len(src) + 1
			return 0
		}
		next = end
		if begin == end {
			next++
		}
		return m.pushCaptures(begin, end, true)
	}, glua.LString(src), glua.LString(pat))) // both are upvalues, so that they count as memory
	return 1
}

// searchUnanchored is search for gmatch, in which '^' has no special meaning.
func (m *matcher) searchUnanchored(start int) (begin, end int) {
	for s := start; s <= len(m.src); s++ {
		m.level = 0
		if e := m.match(s, 0); e != -1 {
			return s, e
		}
	}
	return -1, -1
}

func stringGsub(l *glua.LState) int {
	src, pat := checkText(l, 1), checkText(l, 2)
	replace := replacement(l, l.Get(3))
	limit := optInt(l, 4, len(src)+1)
	m := newMatcher(l, src, pat)
	p, anchored := 0, false
	if strings.HasPrefix(pat, "^") {
		p, anchored = 1, true
	}
	var out strings.Builder
	at, count := 0, 0
	for count < limit {
		m.level = 0
		end := m.match(at, p)
		if end != -1 {
			count++
			m.exec.charge(l, 2)
			m.resultBytes = out.Len()
			appendText(l, &out, replace(m, at, end))
		}
		switch {
		case end > at:
			at = end
		case at < len(src):
			out.WriteByte(src[at])
			at++
		default:
			at = len(src) + 1
		}
		if at > len(src) || anchored {
			break
		}
	}
	if at < len(src) {
		appendText(l, &out, src[at:])
	}
	pushText(l, &out)
	l.Push(glua.LNumber(count))
	return 2
}

// replacement returns the function that gsub calls for each match. v is argument 3
// of gsub.
func replacement(l *glua.LState, v glua.LValue) func(m *matcher, begin, end int) string {
	var value func(m *matcher, begin, end int) glua.LValue
	switch v := v.(type) {
	case glua.LString, glua.LNumber:
		template, _ := textOf(v)
		return func(m *matcher, begin, end int) string { return m.expand(template, begin, end) }
	case *glua.LTable:
		value = func(m *matcher, begin, end int) glua.LValue {
			key := m.capture(0, begin, end)
			m.exec.charge(l, chargedHops(v, key))
			return l.GetTable(v, key)
		}
	case *glua.LFunction:
		value = func(m *matcher, begin, end int) glua.LValue {
			top := l.GetTop()
			defer m.exec.holdBytes(m.resultBytes)()
			m.pushCaptures(begin, end, true)
			r := runCallback(l, v, top+1)
			l.SetTop(top)
			return r
		}
	default:
		l.ArgError(3, "string/function/table expected")
	}
	return func(m *matcher, begin, end int) string {
		r := value(m, begin, end)
		if glua.LVIsFalse(r) {
			return m.src[begin:end]
		}
		s, ok := textOf(r)
		if !ok {
			l.RaiseError("invalid replacement value (a %s)", r.Type())
		}
		return s
	}
}

// expand returns template with %0 to %9 replaced by captures.
func (m *matcher) expand(template string, begin, end int) string {
	if !strings.Contains(template, "%") {
		return template
	}
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		if i++; i == len(template) {
			b.WriteByte(0) // lua5.1 reads the zero byte at the end of its C string
			break
		}
		switch c := template[i]; {
		case c == '0':
			appendText(m.l, &b, m.src[begin:end])
		case isDigit(c):
			s, _ := textOf(m.capture(int(c-'1'), begin, end))
			appendText(m.l, &b, s)
		default:
			b.WriteByte(c)
		}
		checkLength(m.l, b.Len())
	}
	return b.String()
}

// callbackUnits is the work of calling a function of the script from Go, in addition
// to its instructions.
const callbackUnits = 7

// runCallback calls fn on another thread with the values of l from index first on,
// and returns the first result. It raises the errors of fn.
func runCallback(l *glua.LState, fn glua.LValue, first int) glua.LValue {
	executionOf(l).charge(l, callbackUnits)
	n, err := protectedCall(l, executionOf(l), fn, first)
	if err != nil {
		l.Error(raisedValue(err), 0)
	}
	if n == 0 {
		return glua.LNil
	}
	return l.Get(l.GetTop() - n + 1)
}
