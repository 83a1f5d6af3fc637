package syntax

// Walk visits all statements and expressions of body, nested ones included, in
// the order of the source. It calls stmt for each statement and expr for each
// expression. If expr returns false, Walk skips the children of that
// expression.
func Walk(body []Stmt, stmt func(Stmt), expr func(Expr) bool) {
	w := walker{stmt, expr}
	w.walkBody(body)
}

type walker struct {
	stmt func(Stmt)
	expr func(Expr) bool
}

func (w walker) walkBody(list []Stmt) {
	for _, s := range list {
		w.stmt(s)
		w.walkStatement(s)
	}
}

func (w walker) walkStatement(s Stmt) {
	switch s := s.(type) {
	case *Local:
		w.walkExprs(s.Values...)
	case *LocalFunction:
		w.walkExprs(s.Func)
	case *Assign:
		w.walkExprs(s.Targets...)
		w.walkExprs(s.Values...)
	case *CallStmt:
		w.walkExprs(s.Call)
	case *Do:
		w.walkBody(s.Body)
	case *While:
		w.walkExprs(s.Cond)
		w.walkBody(s.Body)
	case *Repeat:
		w.walkBody(s.Body)
		w.walkExprs(s.Cond)
	case *If:
		for _, c := range s.Clauses {
			w.walkExprs(c.Cond)
			w.walkBody(c.Body)
		}
		w.walkBody(s.Else)
	case *NumericFor:
		w.walkExprs(s.Init, s.Limit, s.Step)
		w.walkBody(s.Body)
	case *GenericFor:
		w.walkExprs(s.Values...)
		w.walkBody(s.Body)
	case *Return:
		w.walkExprs(s.Values...)
	}
}

func (w walker) walkExprs(list ...Expr) {
	for _, e := range list {
		if e != nil && w.expr(e) {
			w.walkChildren(e)
		}
	}
}

func (w walker) walkChildren(e Expr) {
	switch e := e.(type) {
	case *Index:
		w.walkExprs(e.Object, e.Key)
	case *Call:
		w.walkExprs(e.Func)
		w.walkExprs(e.Args...)
	case *Method:
		w.walkExprs(e.Object)
		w.walkExprs(e.Args...)
	case *Function:
		w.walkBody(e.Body)
	case *Binary:
		w.walkExprs(e.Left, e.Right)
	case *Concat:
		w.walkExprs(e.Operands...)
	case *Unary:
		w.walkExprs(e.X)
	case *Paren:
		w.walkExprs(e.X)
	case *Table:
		for _, f := range e.Fields {
			w.walkExprs(f.Key, f.Value)
		}
	}
}
