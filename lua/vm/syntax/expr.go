package syntax

// priority holds the left and the right priority of each binary operator. A
// right-associative operator has the lower priority on its right.
var priority = map[string]struct{ left, right int }{
	"or": {1, 1}, "and": {2, 2},
	"<": {3, 3}, ">": {3, 3}, "<=": {3, 3}, ">=": {3, 3}, "~=": {3, 3}, "==": {3, 3},
	"..": {5, 4}, "+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9},
}

// unaryPriority is the priority of "not", "-" and "#".
const unaryPriority = 8

// setIndexLine sets the line of e, if e is an index, to the line of the token before
// the current one. lua5.1 emits the instruction that can fail at that line. It returns
// e.
func (p *parser) setIndexLine(e Expr) Expr {
	if ix, ok := e.(*Index); ok {
		ix.Line = p.lastLine
	}
	return e
}

// exprList reads one or more expressions separated by commas.
func (p *parser) exprList() []Expr {
	list := []Expr{p.expr()}
	for p.accept(",") {
		p.setIndexLine(list[len(list)-1])
		list = append(list, p.expr())
	}
	p.setIndexLine(list[len(list)-1])
	return list
}

func (p *parser) expr() Expr { return p.operatorExpr(0) }

// operatorExpr reads an expression. It stops at a binary operator whose left
// priority is at most limit.
func (p *parser) operatorExpr(limit int) Expr {
	p.enterLevel()
	defer p.leaveLevel()
	var e Expr
	switch op := p.tok.kind; op {
	case "not", "-", "#":
		p.advance()
		x := p.setIndexLine(p.operatorExpr(unaryPriority))
		e = &Unary{Line: p.lastLine, Op: op, X: x}
	default:
		e = p.simpleExpr()
	}
	for {
		op := p.tok.kind
		pr, ok := priority[op]
		if !ok || pr.left <= limit {
			return e
		}
		p.advance()
		p.setIndexLine(e)
		if op == ".." {
			e = p.concatChain(e)
			continue
		}
		right := p.setIndexLine(p.operatorExpr(pr.right))
		e = &Binary{Line: p.lastLine, Op: op, Left: e, Right: right}
	}
}

// concatChain reads the rest of a chain of `..` after its first operand. The
// operands do not add nesting levels, because chains are long in practice.
func (p *parser) concatChain(first Expr) Expr {
	operands := []Expr{first}
	for {
		operands = append(operands, p.operatorExpr(priority[".."].left))
		if p.tok.kind != ".." {
			break
		}
		p.advance()
		p.setIndexLine(operands[len(operands)-1])
	}
	p.setIndexLine(operands[len(operands)-1])
	return &Concat{Line: p.lastLine, Operands: operands}
}

// simpleExpr reads an expression without operators.
func (p *parser) simpleExpr() Expr {
	t := p.tok
	switch t.kind {
	case numberToken:
		p.advance()
		return &Number{t.num}
	case stringToken:
		p.advance()
		return &String{t.text}
	case "nil":
		p.advance()
		return &Nil{}
	case "true", "false":
		p.advance()
		return &Bool{t.kind == "true"}
	case "...":
		if !p.function.Vararg {
			p.unexpected("cannot use '...' outside a vararg function")
		}
		p.advance()
		p.function.UsesDots = true
		return &Vararg{Line: t.line}
	case "{":
		return p.tableConstructor()
	case "function":
		p.advance()
		return p.functionBody(t.line, false)
	}
	return p.suffixedExpr()
}

// suffixedExpr reads a name or a parenthesized expression, followed by any
// number of fields, indexes and calls.
func (p *parser) suffixedExpr() Expr {
	var e Expr
	switch line := p.tok.line; p.tok.kind {
	case nameToken:
		e = &Name{Line: line, Name: p.expectName()}
	case "(":
		p.advance()
		inner := p.expr()
		p.expectClosing(")", "(", line)
		e = &Paren{p.setIndexLine(inner)}
	default:
		p.unexpected("unexpected symbol")
	}
	for {
		switch p.tok.kind {
		case ".":
			e = p.fieldSuffix(e)
		case "[":
			p.setIndexLine(e)
			p.advance()
			key := p.setIndexLine(p.expr())
			p.expect("]")
			e = &Index{Line: p.lastLine, Object: e, Key: key}
		case ":":
			p.advance()
			m := &Method{Object: p.setIndexLine(e), Name: p.expectName()}
			m.SelfLine = p.lastLine
			m.Line, m.Args = p.arguments()
			e = m
		case "(", stringToken, "{":
			p.setIndexLine(e)
			c := &Call{Func: e}
			c.Line, c.Args = p.arguments()
			e = c
		default:
			return e
		}
	}
}

// fieldSuffix reads .name or :name after an object.
func (p *parser) fieldSuffix(object Expr) *Index {
	p.setIndexLine(object)
	p.advance()
	key := &String{p.expectName()}
	return &Index{Line: p.lastLine, Object: object, Key: key}
}

// arguments reads the arguments of a call and returns the call's line.
func (p *parser) arguments() (line int, args []Expr) {
	line = p.tok.line
	switch p.tok.kind {
	case stringToken:
		args = []Expr{&String{p.tok.text}}
		p.advance()
	case "{":
		args = []Expr{p.tableConstructor()}
	case "(":
		if line != p.lastLine {
			p.unexpected("ambiguous syntax: to call the function on the line before, move '(' to that line; to begin a new statement, put ';' before '('")
		}
		p.advance()
		if p.tok.kind != ")" {
			args = p.exprList()
		}
		p.expectClosing(")", "(", line)
		if len(args) > 0 {
			p.setIndexLine(args[len(args)-1])
		}
	default:
		p.unexpected("function arguments expected")
	}
	return line, args
}

// tableConstructor reads {fields}.
func (p *parser) tableConstructor() *Table {
	line := p.tok.line
	t := &Table{Line: line}
	p.expect("{")
	for p.tok.kind != "}" {
		f := Field{Line: p.tok.line}
		switch {
		case p.tok.kind == nameToken && p.lookahead().kind == "=":
			f.Key = &String{p.expectName()}
			p.advance()
		case p.tok.kind == "[":
			p.advance()
			f.Key = p.setIndexLine(p.expr())
			p.expect("]")
			p.expect("=")
		}
		f.Value = p.setIndexLine(p.expr())
		f.Line = p.lastLine
		t.Fields = append(t.Fields, f)
		if !p.accept(",") && !p.accept(";") {
			break
		}
		if f.Key == nil {
			p.setIndexLine(f.Value)
		}
	}
	p.expectClosing("}", "{", line)
	return t
}

// functionBody reads a function from its parameters to its "end". line is the
// line of the keyword "function". With self, the function has the first
// parameter "self".
func (p *parser) functionBody(line int, self bool) *Function {
	f := &Function{Line: line}
	if self {
		f.Params = append(f.Params, "self")
	}
	p.expect("(")
	for p.tok.kind != ")" {
		if p.accept("...") {
			f.Vararg = true
			break
		}
		f.Params = append(f.Params, p.expectName())
		if !p.accept(",") {
			break
		}
		if p.tok.kind == ")" {
			p.unexpected("a name or '...' expected")
		}
	}
	p.expect(")")
	outer := p.function
	p.function = f
	f.Body = p.block()
	p.function = outer
	f.End = p.tok.line
	p.expectClosing("end", "function", line)
	return f
}
