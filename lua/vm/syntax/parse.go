package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// maxLevels bounds the nesting of blocks, functions and expressions, as in
// lua5.1, because each level uses the stack of the process.
const maxLevels = 200

// Parse reads a source and returns its main chunk as a function. The error is
// an *Error.
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
		p.skipLine()
	}
	main = &Function{Line: 0, Vararg: true}
	p.function = main
	p.advance()
	main.Body = p.block()
	if p.tok.kind != eofToken {
		p.unexpected("'" + eofToken + "' expected")
	}
	main.End = p.tok.line
	return main, nil
}

// parser is a recursive descent parser. It panics with an *Error.
type parser struct {
	lexer
	tok      token     // the current token
	aheadTok *token    // the token after tok, if it has been read
	lastLine int       // line of the token before tok
	levels   int       // nesting depth
	function *Function // the function whose body is being parsed
}

// advance makes the next token the current one.
func (p *parser) advance() {
	p.lastLine = p.tok.line
	if p.aheadTok != nil {
		p.tok, p.aheadTok = *p.aheadTok, nil
		return
	}
	p.tok = p.nextToken()
}

// lookahead returns the token after the current one.
func (p *parser) lookahead() token {
	if p.aheadTok == nil {
		t := p.nextToken()
		p.aheadTok = &t
	}
	return *p.aheadTok
}

// unexpected fails at the current token.
func (p *parser) unexpected(reason string) {
	panic(&Error{Line: p.tok.line, Near: p.tok.display(), Reason: reason})
}

// accept moves past the current token if it is of this kind, and reports
// whether it was.
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

// expectClosing expects the token kind, which closes the construct that the
// token opening began at line.
func (p *parser) expectClosing(kind, opening string, line int) {
	if p.accept(kind) {
		return
	}
	if line == p.tok.line {
		p.unexpected("'" + kind + "' expected")
	}
	p.unexpected(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", kind, opening, line))
}

func (p *parser) expectName() string {
	s := p.tok.text
	if p.tok.kind != nameToken {
		p.unexpected("a name expected")
	}
	p.advance()
	return s
}

func (p *parser) enterLevel() {
	if p.levels++; p.levels > maxLevels {
		p.unexpected(fmt.Sprintf("the source is nested deeper than %d levels", maxLevels))
	}
}

func (p *parser) leaveLevel() { p.levels-- }

// block reads statements until a token that ends a block.
func (p *parser) block() []Stmt {
	p.enterLevel()
	defer p.leaveLevel()
	var body []Stmt
	for {
		switch p.tok.kind {
		case eofToken, "end", "else", "elseif", "until":
			markLastLabels(body)
			return body
		case "return":
			body = append(body, p.returnStatement())
			p.checkEndOfBlock("return")
			return body
		case "break":
			body = append(body, &Break{Line: p.tok.line})
			p.advance()
			p.accept(";")
			p.checkEndOfBlock("break")
			return body
		}
		if s := p.statement(); s != nil {
			body = append(body, s)
		}
		p.accept(";")
	}
}

// markLastLabels sets Last for the labels at the end of a block.
func markLastLabels(body []Stmt) {
	for _, b := range slices.Backward(body) {
		l, ok := b.(*Label)
		if !ok {
			return
		}
		l.Last = true
	}
}

func (p *parser) checkEndOfBlock(after string) {
	switch p.tok.kind {
	case eofToken, "end", "else", "elseif", "until":
	default:
		p.unexpected("'" + after + "' must be the last statement of its block")
	}
}

func (p *parser) returnStatement() *Return {
	p.advance()
	r := &Return{}
	switch p.tok.kind {
	case eofToken, "end", "else", "elseif", "until", ";":
	default:
		r.Values = p.exprList()
	}
	r.Line = p.lastLine
	p.accept(";")
	return r
}

func (p *parser) statement() Stmt {
	line := p.tok.line
	switch p.tok.kind {
	case "if":
		return p.ifStatement(line)
	case "while":
		p.advance()
		s := &While{Line: line, Cond: p.condition()}
		p.expect("do")
		s.Body = p.block()
		s.End = p.tok.line
		p.expectClosing("end", "while", line)
		return s
	case "do":
		p.advance()
		s := &Do{Body: p.block()}
		s.End = p.tok.line
		p.expectClosing("end", "do", line)
		return s
	case "for":
		p.advance()
		return p.forStatement(line)
	case "repeat":
		p.advance()
		s := &Repeat{Line: line, Body: p.block()}
		for _, inner := range s.Body { // the condition follows them and sees the locals
			if l, ok := inner.(*Label); ok {
				l.Last = false
			}
		}
		p.expectClosing("until", "repeat", line)
		s.Cond = p.condition()
		s.End = p.lastLine
		return s
	case "function":
		p.advance()
		return p.functionStatement(line)
	case "local":
		p.advance()
		return p.localStatement(line)
	case "::":
		p.advance()
		s := &Label{Line: line, Name: p.expectName()}
		p.expect("::")
		return s
	}
	if p.tok.kind == nameToken && p.tok.text == "goto" && p.lookahead().kind == nameToken {
		p.advance()
		return &Goto{Line: line, Name: p.expectName()}
	}
	return p.expressionStatement()
}

func (p *parser) condition() Expr { return p.setIndexLine(p.expr()) }

func (p *parser) ifStatement(line int) *If {
	s := &If{}
	for first := true; first || p.tok.kind == "elseif"; first = false {
		p.advance()
		c := Clause{Cond: p.condition()}
		p.expect("then")
		c.Body = p.block()
		c.End = p.lastLine
		s.Clauses = append(s.Clauses, c)
	}
	if p.accept("else") {
		s.Else = p.block()
	}
	p.expectClosing("end", "if", line)
	return s
}

func (p *parser) forStatement(line int) Stmt {
	first := p.expectName()
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
		p.expectClosing("end", "for", line)
		return s
	case ",", "in":
		s := &GenericFor{Line: line, Names: []string{first}}
		for p.accept(",") {
			s.Names = append(s.Names, p.expectName())
		}
		p.expect("in")
		s.Values = p.exprList()
		s.DoLine = p.tok.line
		p.expect("do")
		s.Body = p.block()
		s.End = p.tok.line
		p.expectClosing("end", "for", line)
		return s
	}
	p.unexpected("'=' or 'in' expected")
	return nil
}

// functionStatement reads `function name() end`, which assigns to the name.
func (p *parser) functionStatement(line int) Stmt {
	var target Expr = &Name{Line: p.tok.line, Name: p.expectName()}
	for p.tok.kind == "." {
		target = p.fieldSuffix(target)
	}
	self := p.tok.kind == ":"
	if self {
		target = p.fieldSuffix(target)
	}
	if ix, ok := target.(*Index); ok {
		ix.Line = line
	}
	return &Assign{Line: line, Targets: []Expr{target}, Values: []Expr{p.functionBody(line, self)}}
}

func (p *parser) localStatement(line int) Stmt {
	if p.accept("function") {
		s := &LocalFunction{Line: line, Name: p.expectName()}
		s.Func = p.functionBody(line, false)
		return s
	}
	s := &Local{Names: []string{p.expectName()}}
	for p.accept(",") {
		s.Names = append(s.Names, p.expectName())
	}
	if p.accept("=") {
		s.Values = p.exprList()
	}
	s.Line = p.lastLine
	return s
}

func (p *parser) expressionStatement() Stmt {
	e := p.suffixedExpr()
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
		e = p.suffixedExpr()
	}
	if p.tok.kind != "=" {
		p.unexpected("unexpected symbol")
	}
	p.advance()
	s.Values = p.exprList()
	s.Line = p.lastLine
	return s
}
