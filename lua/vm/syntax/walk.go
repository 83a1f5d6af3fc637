package syntax

// Walk visits the statements and expressions of body and of what is below it,
// in the order of the source. It does not visit what is below an expression
// for which expr returns false.
func Walk(body []Stmt, stmt func(Stmt), expr func(Expr) bool) {
	w := walker{stmt, expr}
	w.body(body)
}

type walker struct {
	stmt func(Stmt)
	expr func(Expr) bool
}

func (w walker) body(list []Stmt) {
	for _, s := range list {
		w.stmt(s)
		w.statement(s)
	}
}

func (w walker) statement(s Stmt) {
	switch s := s.(type) {
	case *Local:
		w.exprs(s.Values...)
	case *LocalFunction:
		w.exprs(s.Func)
	case *Assign:
		w.exprs(s.Targets...)
		w.exprs(s.Values...)
	case *CallStmt:
		w.exprs(s.Call)
	case *Do:
		w.body(s.Body)
	case *While:
		w.exprs(s.Cond)
		w.body(s.Body)
	case *Repeat:
		w.body(s.Body)
		w.exprs(s.Cond)
	case *If:
		for _, c := range s.Clauses {
			w.exprs(c.Cond)
			w.body(c.Body)
		}
		w.body(s.Else)
	case *NumericFor:
		w.exprs(s.Init, s.Limit, s.Step)
		w.body(s.Body)
	case *GenericFor:
		w.exprs(s.Values...)
		w.body(s.Body)
	case *Return:
		w.exprs(s.Values...)
	}
}

func (w walker) exprs(list ...Expr) {
	for _, e := range list {
		if e != nil && w.expr(e) {
			w.below(e)
		}
	}
}

func (w walker) below(e Expr) {
	switch e := e.(type) {
	case *Index:
		w.exprs(e.Object, e.Key)
	case *Call:
		w.exprs(e.Func)
		w.exprs(e.Args...)
	case *Method:
		w.exprs(e.Object)
		w.exprs(e.Args...)
	case *Function:
		w.body(e.Body)
	case *Binary:
		w.exprs(e.Left, e.Right)
	case *Concat:
		w.exprs(e.Operands...)
	case *Unary:
		w.exprs(e.X)
	case *Paren:
		w.exprs(e.X)
	case *Table:
		for _, f := range e.Fields {
			w.exprs(f.Key, f.Value)
		}
	}
}
