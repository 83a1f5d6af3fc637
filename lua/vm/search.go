package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// from looks for the pattern at start or behind it, and returns where the
// match is; start is -1 when there is none.
func (m *matcher) from(start int) (begin, end int) {
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

// capture is capture i of the match from begin to end; the whole match when
// the pattern has none.
func (m *matcher) capture(i, begin, end int) glua.LValue {
	if i >= m.level {
		if i != 0 {
			m.l.RaiseError("invalid capture index")
		}
		return part(m.task, m.src, begin, end)
	}
	c := m.captures[i]
	switch c.length {
	case openCapture:
		m.l.RaiseError("unfinished capture")
	case positionCapture:
		return glua.LNumber(c.start + 1)
	}
	return part(m.task, m.src, c.start, c.start+c.length)
}

// pushCaptures pushes all captures; the whole match if there are none and
// whole is set.
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

// initial is the optional argument 3 of find and match as an offset.
func initial(l *glua.LState, length int) int {
	start := optInt(l, 3, 1)
	if start < 0 {
		start = max(length+start+1, 1)
	}
	return min(max(start, 1)-1, length)
}

func stringFind(l *glua.LState) int {
	src, pat := checkText(l, 1), checkText(l, 2)
	start := initial(l, len(src))
	if glua.LVAsBool(l.Get(4)) || !strings.ContainsAny(pat, "^$*+?.([%-") {
		taskOf(l).charge(l, (len(src)-start+len(pat))/16)
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
	begin, end := m.from(start)
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
	begin, end := m.from(initial(l, len(src)))
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
		begin, end := m.unanchored(next)
		if begin < 0 {
			next = len(src) + 1
			return 0
		}
		next = end
		if begin == end {
			next++
		}
		return m.pushCaptures(begin, end, true)
	}, glua.LString(src), glua.LString(pat))) // upvalues, so that they count as memory
	return 1
}

// unanchored is from without a meaning of '^': gmatch has none.
func (m *matcher) unanchored(start int) (begin, end int) {
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
			m.made = out.Len()
			addText(l, &out, replace(m, at, end))
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
		addText(l, &out, src[at:])
	}
	pushText(l, &out)
	l.Push(glua.LNumber(count))
	return 2
}

// replacement makes the function that gsub calls for each match.
func replacement(l *glua.LState, v glua.LValue) func(m *matcher, begin, end int) string {
	var value func(m *matcher, begin, end int) glua.LValue
	switch v := v.(type) {
	case glua.LString, glua.LNumber:
		template, _ := textOf(v)
		return func(m *matcher, begin, end int) string { return m.expand(template, begin, end) }
	case *glua.LTable:
		value = func(m *matcher, begin, end int) glua.LValue {
			return l.GetTable(v, m.capture(0, begin, end))
		}
	case *glua.LFunction:
		value = func(m *matcher, begin, end int) glua.LValue {
			top := l.GetTop()
			defer m.task.hold(m.made)()
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

// expand is template with %0 to %9 replaced by captures.
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
			b.WriteByte(0) // lua5.1 takes the end of its C string for a character
			break
		}
		switch c := template[i]; {
		case c == '0':
			addText(m.l, &b, m.src[begin:end])
		case digit(c):
			s, _ := textOf(m.capture(int(c-'1'), begin, end))
			addText(m.l, &b, s)
		default:
			b.WriteByte(c)
		}
		checkLength(m.l, b.Len())
	}
	return b.String()
}

// runCallback calls fn with the values of l from index first on, on a thread of
// its own, and returns the first result.
func runCallback(l *glua.LState, fn glua.LValue, first int) glua.LValue {
	n, err := protectedCall(l, taskOf(l), fn, first)
	if err != nil {
		l.Error(raised(err), 0)
	}
	if n == 0 {
		return glua.LNil
	}
	return l.Get(l.GetTop() - n + 1)
}
