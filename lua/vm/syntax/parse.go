package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// maxLevels bounds the nesting of blocks, functions and expressions, as in
// lua5.1: each level uses the stack of the process.
const maxLevels = 200

// Parse reads a source. The function that it returns is the main chunk. The
// error is an *Error.
func Parse(source string) (main *Function, err error) {
	p := &parser{lexer: lexer{src: source, line: 1}}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			main, err = nil, p
		default:
			panic(p)
		}
	}()
	if strings.HasPrefix(source, "#") {
		p.restOfLine()
	}
	main = &Function{Line: 0, Vararg: true}
	p.function = main
	p.advance()
	main.Body = p.block()
	if p.tok.kind != eof {
		p.unexpected("'" + eof + "' expected")
	}
	main.End = p.tok.line
	return main, nil
}

// parser is a recursive descent parser. It panics with an *Error.
type parser struct {
	lexer
	tok      token
	ahead    *token
	last     int // line of the token before tok
	levels   int
	function *Function
}

func (p *parser) advance() {
	p.last = p.tok.line
	if p.ahead != nil {
		p.tok, p.ahead = *p.ahead, nil
		return
	}
	p.tok = p.next()
}

// lookahead is the token behind the current one.
func (p *parser) lookahead() token {
	if p.ahead == nil {
		t := p.next()
		p.ahead = &t
	}
	return *p.ahead
}

func (p *parser) unexpected(reason string) {
	panic(&Error{Line: p.tok.line, Near: p.tok.show(), Reason: reason})
}

func (p *parser) accept(kind string) bool {
	if p.tok.kind != kind {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(kind string) {
	if !p.accept(kind) {
		p.unexpected("'" + kind + "' expected")
	}
}

// closing expects kind, which ends what opening began.
func (p *parser) closing(kind, opening string, line int) {
	if p.accept(kind) {
		return
	}
	if line == p.tok.line {
		p.unexpected("'" + kind + "' expected")
	}
	p.unexpected(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", kind, opening, line))
}

func (p *parser) name() string {
	s := p.tok.text
	if p.tok.kind != name {
		p.unexpected("a name expected")
	}
	p.advance()
	return s
}

func (p *parser) enter() {
	if p.levels++; p.levels > maxLevels {
		p.unexpected(fmt.Sprintf("the source is nested deeper than %d levels", maxLevels))
	}
}

func (p *parser) leave() { p.levels-- }

// block reads statements up to a token that ends a block.
func (p *parser) block() []Stmt {
	p.enter()
	defer p.leave()
	var body []Stmt
	for {
		switch p.tok.kind {
		case eof, "end", "else", "elseif", "until":
			markLast(body)
			return body
		case "return":
			body = append(body, p.returns())
			p.endOfBlock("return")
			return body
		case "break":
			body = append(body, &Break{Line: p.tok.line})
			p.advance()
			p.accept(";")
			p.endOfBlock("break")
			return body
		}
		if s := p.statement(); s != nil {
			body = append(body, s)
		}
		p.accept(";")
	}
}

// markLast marks the labels at the end of a block.
func markLast(body []Stmt) {
	for _, b := range slices.Backward(body) {
		l, ok := b.(*Label)
		if !ok {
			return
		}
		l.Last = true
	}
}

func (p *parser) endOfBlock(after string) {
	switch p.tok.kind {
	case eof, "end", "else", "elseif", "until":
	default:
		p.unexpected("'" + after + "' must be the last statement of its block")
	}
}

func (p *parser) returns() *Return {
	p.advance()
	r := &Return{}
	switch p.tok.kind {
	case eof, "end", "else", "elseif", "until", ";":
	default:
		r.Values = p.list()
	}
	r.Line = p.last
	p.accept(";")
	return r
}

func (p *parser) statement() Stmt {
	line := p.tok.line
	switch p.tok.kind {
	case "if":
		return p.ifs(line)
	case "while":
		p.advance()
		s := &While{Line: line, Cond: p.condition()}
		p.expect("do")
		s.Body = p.block()
		s.End = p.tok.line
		p.closing("end", "while", line)
		return s
	case "do":
		p.advance()
		s := &Do{Body: p.block()}
		s.End = p.tok.line
		p.closing("end", "do", line)
		return s
	case "for":
		p.advance()
		return p.fors(line)
	case "repeat":
		p.advance()
		s := &Repeat{Line: line, Body: p.block()}
		for _, last := range s.Body { // the condition follows, and sees the locals
			if l, ok := last.(*Label); ok {
				l.Last = false
			}
		}
		p.closing("until", "repeat", line)
		s.Cond = p.condition()
		s.End = p.last
		return s
	case "function":
		p.advance()
		return p.functionStatement(line)
	case "local":
		p.advance()
		return p.local(line)
	case "::":
		p.advance()
		s := &Label{Line: line, Name: p.name()}
		p.expect("::")
		return s
	}
	if p.tok.kind == name && p.tok.text == "goto" && p.lookahead().kind == name {
		p.advance()
		return &Goto{Line: line, Name: p.name()}
	}
	return p.expressionStatement()
}

func (p *parser) condition() Expr { return p.discharged(p.expr()) }

func (p *parser) ifs(line int) *If {
	s := &If{}
	for first := true; first || p.tok.kind == "elseif"; first = false {
		p.advance()
		c := Clause{Cond: p.condition(), Line: p.last}
		p.expect("then")
		c.Body = p.block()
		c.End = p.last
		s.Clauses = append(s.Clauses, c)
	}
	if p.accept("else") {
		s.Else = p.block()
	}
	p.closing("end", "if", line)
	return s
}

func (p *parser) fors(line int) Stmt {
	first := p.name()
	switch p.tok.kind {
	case "=":
		s := &NumericFor{Line: line, Name: first}
		p.advance()
		s.Init = p.condition()
		p.expect(",")
		s.Limit = p.condition()
		if p.accept(",") {
			s.Step = p.condition()
		}
		s.DoLine = p.tok.line
		p.expect("do")
		s.Body = p.block()
		s.End = p.tok.line
		p.closing("end", "for", line)
		return s
	case ",", "in":
		s := &GenericFor{Line: line, Names: []string{first}}
		for p.accept(",") {
			s.Names = append(s.Names, p.name())
		}
		p.expect("in")
		s.Values = p.list()
		s.DoLine = p.tok.line
		p.expect("do")
		s.Body = p.block()
		s.End = p.tok.line
		p.closing("end", "for", line)
		return s
	}
	p.unexpected("'=' or 'in' expected")
	return nil
}

// functionStatement is an assignment to the name.
func (p *parser) functionStatement(line int) Stmt {
	var target Expr = &Name{Line: p.tok.line, Name: p.name()}
	for p.tok.kind == "." {
		target = p.field(target)
	}
	self := p.tok.kind == ":"
	if self {
		target = p.field(target)
	}
	if ix, ok := target.(*Index); ok {
		ix.Line = line
	}
	return &Assign{Line: line, Targets: []Expr{target}, Values: []Expr{p.body(line, self)}}
}

func (p *parser) local(line int) Stmt {
	if p.accept("function") {
		s := &LocalFunction{Line: line, Name: p.name()}
		s.Func = p.body(line, false)
		return s
	}
	s := &Local{Names: []string{p.name()}}
	for p.accept(",") {
		s.Names = append(s.Names, p.name())
	}
	if p.accept("=") {
		s.Values = p.list()
	}
	s.Line = p.last
	return s
}

func (p *parser) expressionStatement() Stmt {
	e := p.suffixed()
	switch e.(type) {
	case *Call, *Method:
		if p.tok.kind == "=" || p.tok.kind == "," {
			p.unexpected("a call cannot be assigned to")
		}
		return &CallStmt{e}
	}
	s := &Assign{}
	for {
		switch e.(type) {
		case *Name, *Index:
			s.Targets = append(s.Targets, e)
		default:
			p.unexpected("unexpected symbol")
		}
		if !p.accept(",") {
			break
		}
		e = p.suffixed()
	}
	if p.tok.kind != "=" {
		p.unexpected("unexpected symbol")
	}
	p.advance()
	s.Values = p.list()
	s.Line = p.last
	return s
}
