package syntax

import (
	"fmt"
	"strings"
)

// Kinds of tokens that are not their own text.
const (
	eof    = "<eof>"
	name   = "<name>"
	number = "<number>"
	text   = "<string>"
)

type token struct {
	kind string // one of the above, a keyword or a symbol
	text string // of a name or string
	num  float64
	line int // where it ends
}

// show is the token in messages.
func (t token) show() string {
	if t.kind == name || t.kind == text {
		if len(t.text) > 40 {
			return t.text[:40] + "..."
		}
		return t.text
	}
	return t.kind
}

var keywords = map[string]bool{
	"and": true, "break": true, "do": true, "else": true, "elseif": true, "end": true, "false": true, "for": true,
	"function": true, "if": true, "in": true, "local": true, "nil": true, "not": true, "or": true, "repeat": true,
	"return": true, "then": true, "true": true, "until": true, "while": true,
}

// An Error is a fault of the source.
type Error struct {
	Line   int
	Near   string // the token where it was found; may be empty
	Reason string
}

func (e *Error) Error() string {
	if e.Near == "" {
		return fmt.Sprintf("%d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("%d: near '%s': %s", e.Line, e.Near, e.Reason)
}

// lexer splits a source into tokens. It panics with an *Error.
type lexer struct {
	src  string
	at   int
	line int
}

func (l *lexer) fail(near, reason string) {
	panic(&Error{Line: l.line, Near: near, Reason: reason})
}

// peek returns the byte at offset i from here, or 0 behind the end.
func (l *lexer) peek(i int) byte {
	if l.at+i < len(l.src) {
		return l.src[l.at+i]
	}
	return 0
}

func (l *lexer) next() token {
	l.skip()
	if l.at >= len(l.src) {
		return token{kind: eof, line: l.line}
	}
	c := l.src[l.at]
	switch {
	case letter(c):
		start := l.at
		for l.at < len(l.src) && (letter(l.src[l.at]) || digit(l.src[l.at])) {
			l.at++
		}
		word := l.src[start:l.at]
		if keywords[word] {
			return token{kind: word, line: l.line}
		}
		return token{kind: name, text: word, line: l.line}
	case digit(c), c == '.' && digit(l.peek(1)):
		return l.number()
	case c == '"', c == '\'':
		return l.quoted(c)
	case c == '[':
		if level := l.longLevel(); level >= 0 {
			return token{kind: text, text: l.long(level, "string"), line: l.line}
		}
	}
	for _, symbol := range []string{"...", "..", "==", "~=", "<=", ">=", "::"} {
		if strings.HasPrefix(l.src[l.at:], symbol) {
			l.at += len(symbol)
			return token{kind: symbol, line: l.line}
		}
	}
	l.at++
	if !strings.ContainsRune("+-*/%^#<>=(){}[];:,.", rune(c)) {
		l.fail(printable(c), "unexpected symbol")
	}
	return token{kind: string(rune(c)), line: l.line}
}

// skip moves over spaces and comments.
func (l *lexer) skip() {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n' || c == '\r':
			l.newline()
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			l.at++
		case c == '-' && l.peek(1) == '-':
			l.at += 2
			if level := l.longLevel(); level >= 0 {
				l.long(level, "comment")
				continue
			}
			l.restOfLine()
		default:
			return
		}
	}
}

func (l *lexer) restOfLine() {
	for l.at < len(l.src) && l.src[l.at] != '\n' && l.src[l.at] != '\r' {
		l.at++
	}
}

// newline moves over \n, \r, \r\n or \n\r, which count as one line's end.
func (l *lexer) newline() {
	c := l.src[l.at]
	l.at++
	if n := l.peek(0); (n == '\n' || n == '\r') && n != c {
		l.at++
	}
	l.line++
}

func (l *lexer) number() token {
	start := l.at
	for digit(l.peek(0)) || l.peek(0) == '.' {
		l.at++
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		l.at++
		if c := l.peek(0); c == '+' || c == '-' {
			l.at++
		}
	}
	for letter(l.peek(0)) || digit(l.peek(0)) {
		l.at++
	}
	f, ok := ToNumber(l.src[start:l.at])
	if !ok {
		l.fail(l.src[start:l.at], "malformed number")
	}
	return token{kind: number, num: f, line: l.line}
}

// longLevel is the number of = in an opening long bracket here, or -1.
func (l *lexer) longLevel() int {
	if l.peek(0) != '[' {
		return -1
	}
	n := 0
	for l.peek(n+1) == '=' {
		n++
	}
	if l.peek(n+1) != '[' {
		return -1
	}
	return n
}

// long reads a long string or comment of a level from its opening bracket on.
func (l *lexer) long(level int, what string) string {
	first := l.line
	l.at += level + 2
	if c := l.peek(0); c == '\n' || c == '\r' {
		l.newline()
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	var b strings.Builder
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n' || c == '\r':
			l.newline()
			b.WriteByte('\n')
		case c == ']' && strings.HasPrefix(l.src[l.at:], closing):
			l.at += len(closing)
			return b.String()
		default:
			b.WriteByte(c)
			l.at++
		}
	}
	l.fail(eof, fmt.Sprintf("unfinished long %s that begins in line %d", what, first))
	return ""
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

func (l *lexer) quoted(quote byte) token {
	start := l.at
	l.at++
	var b strings.Builder
	for {
		if l.at >= len(l.src) {
			l.fail(eof, "unfinished string")
		}
		switch c := l.src[l.at]; c {
		case quote:
			l.at++
			return token{kind: text, text: b.String(), line: l.line}
		case '\n', '\r':
			l.fail(l.src[start:l.at], "unfinished string")
		case '\\':
			l.at++
			l.escape(&b)
		default:
			b.WriteByte(c)
			l.at++
		}
	}
}

// escape reads what follows a backslash.
func (l *lexer) escape(b *strings.Builder) {
	if l.at >= len(l.src) {
		return // the string is unfinished
	}
	c := l.src[l.at]
	switch {
	case c == '\n' || c == '\r':
		l.newline()
		b.WriteByte('\n')
	case digit(c):
		n := 0
		for i := 0; i < 3 && digit(l.peek(0)); i++ {
			n = n*10 + int(l.src[l.at]-'0')
			l.at++
		}
		if n > 255 {
			l.fail(fmt.Sprintf(`\%d`, n), "escape sequence too large: at most 255")
		}
		b.WriteByte(byte(n))
	default:
		l.at++
		if e, ok := escapes[c]; ok {
			c = e
		}
		b.WriteByte(c)
	}
}

func printable(c byte) string {
	if c < ' ' || c >= 127 {
		return fmt.Sprintf("char(%d)", c)
	}
	return string(rune(c))
}

func letter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
