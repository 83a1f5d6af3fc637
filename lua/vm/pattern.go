package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

const (
	maxCaptures   = 32
	maxMatchDepth = 200 // recursion depth of a match

	openCapture     = -1 // length of a capture that has not ended
	positionCapture = -2 // length of a capture "()"
)

// A matcher matches one Lua pattern. It uses the algorithm of lstrlib.c and counts
// steps, because the time of backtracking can grow with a power of the text length.
type matcher struct {
	l           *glua.LState
	exec        *execution
	src, pat    string
	depth       int
	steps       int
	level       int
	resultBytes int // bytes of the result of gsub so far
	captures    [maxCaptures]struct{ start, length int }
}

func newMatcher(l *glua.LState, src, pat string) *matcher {
	ex := executionOf(l)
	ex.charge(l, matchUnits)
	return &matcher{l: l, exec: ex, src: src, pat: pat}
}

// matchUnits is the work of a match with only a few steps.
const matchUnits = 14

// step counts one step. Steps are charged to the budget of the call and are limited
// to maxSteps.
func (m *matcher) step() {
	if m.steps++; m.steps > maxSteps {
		m.l.RaiseError("pattern %q takes more than %d steps", shorten(m.pat), maxSteps)
	}
	if m.steps&63 == 0 {
		m.exec.charge(m.l, 64)
	}
}

// shorten returns s, cut to 40 bytes, for messages.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// match matches the pattern from offset p on with the text from offset s on. It
// returns the end of the match in the text, or -1.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.l.RaiseError("pattern too complex")
	}
	defer func() { m.depth-- }()
	for {
		m.step()
		if p == len(m.pat) {
			return s
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.startCapture(s, p+2, positionCapture)
			}
			return m.startCapture(s, p+1, openCapture)
		case ')':
			return m.endCapture(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if ns, np, special := m.matchSpecial(s, p); special {
				if ns == -1 {
					return -1
				}
				s, p = ns, np
				continue
			}
		}
		end := m.classEnd(p)
		suffix := byte(0)
		if end < len(m.pat) {
			suffix = m.pat[end]
		}
		switch suffix {
		case '?':
			if s < len(m.src) && m.matchSingle(s, p, end) {
				if r := m.match(s+1, end+1); r != -1 {
					return r
				}
			}
			p = end + 1
		case '+':
			if s >= len(m.src) || !m.matchSingle(s, p, end) {
				return -1
			}
			return m.maxExpand(s+1, p, end)
		case '*':
			return m.maxExpand(s, p, end)
		case '-':
			return m.minExpand(s, p, end)
		default:
			if s >= len(m.src) || !m.matchSingle(s, p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
}

// matchSpecial matches %b, %f and %1 to %9 at p. It returns the offsets after the
// match in text and pattern. The offset in the text is -1 if the item does not match.
// special is false if there is no such item at p.
func (m *matcher) matchSpecial(s, p int) (text, pattern int, special bool) {
	if p+1 == len(m.pat) {
		return 0, 0, false
	}
	switch next := m.pat[p+1]; {
	case next == 'b':
		return m.balance(s, p+2), p + 4, true
	case next == 'f':
		end, ok := m.frontier(s, p+2)
		if !ok {
			s = -1
		}
		return s, end, true
	case isDigit(next):
		return m.backReference(s, next), p + 2, true
	}
	return 0, 0, false
}

// maxExpand matches the class pat[p:end] as often as possible, then the rest of the
// pattern.
func (m *matcher) maxExpand(s, p, end int) int {
	n := 0
	for s+n < len(m.src) && m.matchSingle(s+n, p, end) {
		m.step()
		n++
	}
	for ; n >= 0; n-- {
		if r := m.match(s+n, end+1); r != -1 {
			return r
		}
	}
	return -1
}

// minExpand matches the class pat[p:end] as rarely as possible, then the rest of the
// pattern.
func (m *matcher) minExpand(s, p, end int) int {
	for {
		if r := m.match(s, end+1); r != -1 {
			return r
		}
		if s >= len(m.src) || !m.matchSingle(s, p, end) {
			return -1
		}
		s++
	}
}

// startCapture begins a capture at s and matches the rest of the pattern. length is
// openCapture or positionCapture.
func (m *matcher) startCapture(s, p, length int) int {
	if m.level >= maxCaptures {
		m.l.RaiseError("too many captures")
	}
	m.captures[m.level].start, m.captures[m.level].length = s, length
	m.level++
	r := m.match(s, p)
	if r == -1 {
		m.level--
	}
	return r
}

// endCapture ends the innermost open capture at s and matches the rest of the
// pattern.
func (m *matcher) endCapture(s, p int) int {
	i := m.level - 1
	for i >= 0 && m.captures[i].length != openCapture {
		i--
	}
	if i < 0 {
		m.l.RaiseError("invalid pattern capture")
	}
	m.captures[i].length = s - m.captures[i].start
	r := m.match(s, p)
	if r == -1 {
		m.captures[i].length = openCapture
	}
	return r
}

// balance matches %bxy, whose x is at p. It returns the end of the match, or -1.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.l.RaiseError("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	begin, end, nested := m.pat[p], m.pat[p+1], 1
	for s++; s < len(m.src); s++ {
		m.step()
		switch m.src[s] {
		case end:
			if nested--; nested == 0 {
				return s + 1
			}
		case begin:
			nested++
		}
	}
	return -1
}

// frontier matches %f[set] at s, between two bytes. It returns the end of the set in
// the pattern.
func (m *matcher) frontier(s, p int) (end int, ok bool) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.l.RaiseError("%s", "missing '[' after '%f' in pattern")
	}
	end = m.classEnd(p)
	var before, after byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		after = m.src[s]
	}
	return end, !m.inSet(before, p, end-1) && m.inSet(after, p, end-1)
}

// backReference matches %1 to %9 at s. It returns the end of the match, or -1.
func (m *matcher) backReference(s int, digit byte) int {
	i := int(digit - '1')
	if i < 0 || i >= m.level || m.captures[i].length == openCapture {
		m.l.RaiseError("invalid capture index")
	}
	if m.captures[i].length == positionCapture {
		return -1 // a position has no text
	}
	text := m.src[m.captures[i].start:][:m.captures[i].length]
	m.exec.charge(m.l, len(text)/128)
	if !strings.HasPrefix(m.src[s:], text) {
		return -1
	}
	return s + len(text)
}
