package syntax

import (
	"fmt"
	"strings"
)

// Kinds of tokens whose text varies. The kind of any other token is its text.
const (
	eofToken    = "<eof>"
	nameToken   = "<name>"
	numberToken = "<number>"
	stringToken = "<string>"
)

type token struct {
	kind string  // one of the constants above, a keyword or a symbol
	text string  // the name, or the value of the string
	num  float64 // the value of the number
	line int     // the line on which the token ends
}

// display returns the text that messages show for the token.
func (t token) display() string {
	if t.kind == nameToken || t.kind == stringToken {
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

// An Error is a syntax error in the source.
type Error struct {
	Line   int
	Near   string // the token at which the error was found; may be empty
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
	pos  int // offset of the next byte in src
	line int // line of that byte, from 1
}

func (l *lexer) fail(near, reason string) {
	panic(&Error{Line: l.line, Near: near, Reason: reason})
}

// peek returns the byte at offset i from the current position, or 0 after the
// end of the source.
func (l *lexer) peek(i int) byte {
	if l.pos+i < len(l.src) {
		return l.src[l.pos+i]
	}
	return 0
}

func (l *lexer) nextToken() token {
	l.skipBlanks()
	if l.pos >= len(l.src) {
		return token{kind: eofToken, line: l.line}
	}
	c := l.src[l.pos]
	switch {
	case isLetter(c):
		start := l.pos
		for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
			l.pos++
		}
		word := l.src[start:l.pos]
		if keywords[word] {
			return token{kind: word, line: l.line}
		}
		return token{kind: nameToken, text: word, line: l.line}
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		return l.readNumber()
	case c == '"', c == '\'':
		return l.readQuoted(c)
	case c == '[':
		if level := l.longBracketLevel(); level >= 0 {
			return token{kind: stringToken, text: l.readLongBracket(level, "string"), line: l.line}
		}
	}
	for _, symbol := range []string{"...", "..", "==", "~=", "<=", ">=", "::"} {
		if strings.HasPrefix(l.src[l.pos:], symbol) {
			l.pos += len(symbol)
			return token{kind: symbol, line: l.line}
		}
	}
	l.pos++
	if !strings.ContainsRune("+-*/%^#<>=(){}[];:,.", rune(c)) {
		l.fail(printable(c), "unexpected symbol")
	}
	return token{kind: string(rune(c)), line: l.line}
}

// skipBlanks moves past spaces and comments.
func (l *lexer) skipBlanks() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n' || c == '\r':
			l.skipNewline()
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			l.pos++
		case c == '-' && l.peek(1) == '-':
			l.pos += 2
			if level := l.longBracketLevel(); level >= 0 {
				l.readLongBracket(level, "comment")
				continue
			}
			l.skipLine()
		default:
			return
		}
	}
}

func (l *lexer) skipLine() {
	for l.pos < len(l.src) && l.src[l.pos] != '\n' && l.src[l.pos] != '\r' {
		l.pos++
	}
}

// skipNewline moves past \n, \r, \r\n or \n\r. Each of them ends one line.
func (l *lexer) skipNewline() {
	c := l.src[l.pos]
	l.pos++
	if n := l.peek(0); (n == '\n' || n == '\r') && n != c {
		l.pos++
	}
	l.line++
}

func (l *lexer) readNumber() token {
	start := l.pos
	for isDigit(l.peek(0)) || l.peek(0) == '.' {
		l.pos++
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		l.pos++
		if c := l.peek(0); c == '+' || c == '-' {
			l.pos++
		}
	}
	for isLetter(l.peek(0)) || isDigit(l.peek(0)) {
		l.pos++
	}
	f, ok := ToNumber(l.src[start:l.pos])
	if !ok {
		l.fail(l.src[start:l.pos], "malformed number")
	}
	return token{kind: numberToken, num: f, line: l.line}
}

// longBracketLevel returns the number of "=" in the opening long bracket at the
// current position, or -1 if there is no long bracket.
func (l *lexer) longBracketLevel() int {
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

// readLongBracket reads a long string or comment from its opening bracket to
// its closing bracket, and returns the text between them. kind is "string" or
// "comment", for the error.
func (l *lexer) readLongBracket(level int, kind string) string {
	first := l.line
	l.pos += level + 2
	if c := l.peek(0); c == '\n' || c == '\r' {
		l.skipNewline()
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	var b strings.Builder
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n' || c == '\r':
			l.skipNewline()
			b.WriteByte('\n')
		case c == ']' && strings.HasPrefix(l.src[l.pos:], closing):
			l.pos += len(closing)
			return b.String()
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
	l.fail(eofToken, fmt.Sprintf("unfinished long %s that begins in line %d", kind, first))
	return ""
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

func (l *lexer) readQuoted(quote byte) token {
	start := l.pos
	l.pos++
	var b strings.Builder
	for {
		if l.pos >= len(l.src) {
			l.fail(eofToken, "unfinished string")
		}
		switch c := l.src[l.pos]; c {
		case quote:
			l.pos++
			return token{kind: stringToken, text: b.String(), line: l.line}
		case '\n', '\r':
			l.fail(l.src[start:l.pos], "unfinished string")
		case '\\':
			l.pos++
			l.readEscape(&b)
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
}

// readEscape reads the rest of an escape sequence, after its backslash, and
// writes the result to b.
func (l *lexer) readEscape(b *strings.Builder) {
	if l.pos >= len(l.src) {
		return // the string is unfinished
	}
	c := l.src[l.pos]
	switch {
	case c == '\n' || c == '\r':
		l.skipNewline()
		b.WriteByte('\n')
	case isDigit(c):
		n := 0
		for i := 0; i < 3 && isDigit(l.peek(0)); i++ {
			n = n*10 + int(l.src[l.pos]-'0')
			l.pos++
		}
		if n > 255 {
			l.fail(fmt.Sprintf(`\%d`, n), "escape sequence too large: the maximum is 255")
		}
		b.WriteByte(byte(n))
	default:
		l.pos++
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

func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
