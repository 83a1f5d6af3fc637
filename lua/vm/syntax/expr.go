package syntax

// priority of binary operators, to their left and right: right-associative
// ones have the lower number on the right.
var priority = map[string]struct{ left, right int }{
	"or": {1, 1}, "and": {2, 2},
	"<": {3, 3}, ">": {3, 3}, "<=": {3, 3}, ">=": {3, 3}, "~=": {3, 3}, "==": {3, 3},
	"..": {5, 4}, "+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9},
}

const unaryPriority = 8

// discharged sets the line of an index to the last token that was read: there
// lua5.1 makes the instruction that can fail.
func (p *parser) discharged(e Expr) Expr {
	if ix, ok := e.(*Index); ok {
		ix.Line = p.last
	}
	return e
}

func (p *parser) list() []Expr {
	list := []Expr{p.expr()}
	for p.accept(",") {
		p.discharged(list[len(list)-1])
		list = append(list, p.expr())
	}
	p.discharged(list[len(list)-1])
	return list
}

func (p *parser) expr() Expr { return p.operation(0) }

// operation reads an expression whose operators have a priority above limit.
func (p *parser) operation(limit int) Expr {
	p.enter()
	defer p.leave()
	var e Expr
	switch op := p.tok.kind; op {
	case "not", "-", "#":
		p.advance()
		x := p.discharged(p.operation(unaryPriority))
		e = &Unary{Line: p.last, Op: op, X: x}
	default:
		e = p.simple()
	}
	for {
		op := p.tok.kind
		pr, ok := priority[op]
		if !ok || pr.left <= limit {
			return e
		}
		p.advance()
		p.discharged(e)
		if op == ".." {
			e = p.concat(e)
			continue
		}
		right := p.discharged(p.operation(pr.right))
		e = &Binary{Line: p.last, Op: op, Left: e, Right: right}
	}
}

// concat reads a chain of `..` behind its first operand without a level for
// each: chains are long in practice.
func (p *parser) concat(first Expr) Expr {
	operands := []Expr{first}
	for {
		operands = append(operands, p.operation(priority[".."].left))
		if p.tok.kind != ".." {
			break
		}
		p.advance()
		p.discharged(operands[len(operands)-1])
	}
	p.discharged(operands[len(operands)-1])
	return &Concat{Line: p.last, Operands: operands}
}

func (p *parser) simple() Expr {
	t := p.tok
	switch t.kind {
	case number:
		p.advance()
		return &Number{t.num}
	case text:
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
		return p.table()
	case "function":
		p.advance()
		return p.body(t.line, false)
	}
	return p.suffixed()
}

// suffixed reads a name or parenthesis with its fields, indexes and calls.
func (p *parser) suffixed() Expr {
	var e Expr
	switch line := p.tok.line; p.tok.kind {
	case name:
		e = &Name{Line: line, Name: p.name()}
	case "(":
		p.advance()
		inner := p.expr()
		p.closing(")", "(", line)
		e = &Paren{p.discharged(inner)}
	default:
		p.unexpected("unexpected symbol")
	}
	for {
		switch p.tok.kind {
		case ".":
			e = p.field(e)
		case "[":
			p.discharged(e)
			p.advance()
			key := p.discharged(p.expr())
			p.expect("]")
			e = &Index{Line: p.last, Object: e, Key: key}
		case ":":
			p.advance()
			m := &Method{Object: p.discharged(e), Name: p.name()}
			m.SelfLine = p.last
			m.Line, m.Args = p.arguments()
			e = m
		case "(", text, "{":
			p.discharged(e)
			c := &Call{Func: e}
			c.Line, c.Args = p.arguments()
			e = c
		default:
			return e
		}
	}
}

// field reads .name or :name behind an object.
func (p *parser) field(object Expr) *Index {
	p.discharged(object)
	p.advance()
	key := &String{p.name()}
	return &Index{Line: p.last, Object: object, Key: key}
}

// arguments reads the arguments of a call and returns the call's line.
func (p *parser) arguments() (line int, args []Expr) {
	line = p.tok.line
	switch p.tok.kind {
	case text:
		args = []Expr{&String{p.tok.text}}
		p.advance()
	case "{":
		args = []Expr{p.table()}
	case "(":
		if line != p.last {
			p.unexpected("ambiguous syntax: this is a call of what ends the line before, or needs a semicolon before it")
		}
		p.advance()
		if p.tok.kind != ")" {
			args = p.list()
		}
		p.closing(")", "(", line)
		if len(args) > 0 {
			p.discharged(args[len(args)-1])
		}
	default:
		p.unexpected("function arguments expected")
	}
	return line, args
}

func (p *parser) table() *Table {
	line := p.tok.line
	t := &Table{Line: line}
	p.expect("{")
	for p.tok.kind != "}" {
		f := Field{Line: p.tok.line}
		switch {
		case p.tok.kind == name && p.lookahead().kind == "=":
			f.Key = &String{p.name()}
			p.advance()
		case p.tok.kind == "[":
			p.advance()
			f.Key = p.discharged(p.expr())
			p.expect("]")
			p.expect("=")
		}
		f.Value = p.discharged(p.expr())
		f.Line = p.last
		t.Fields = append(t.Fields, f)
		if !p.accept(",") && !p.accept(";") {
			break
		}
		if f.Key == nil {
			p.discharged(f.Value)
		}
	}
	p.closing("}", "{", line)
	return t
}

// body reads a function from its parameters to its end.
func (p *parser) body(line int, self bool) *Function {
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
		f.Params = append(f.Params, p.name())
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
	p.closing("end", "function", line)
	return f
}
