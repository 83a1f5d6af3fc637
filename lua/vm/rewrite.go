package vm

import "github.com/yuin/gopher-lua/ast"

// concatName is the global that the rewritten `..` calls. No source can spell
// it, so none can hide or replace it.
const concatName = "(concat)"

// concatArgs bounds the arguments of one call: registers are limited.
const concatArgs = 40

// rewriter walks a syntax tree. It replaces concatenations by calls of the
// bounded function, and notes uses of the root module.
type rewriter struct {
	root  string
	roots map[string]bool // locals that hold the root module
	uses  []Use
}

func (r *rewriter) block(stmts []ast.Stmt) {
	for _, s := range stmts {
		r.stmt(s)
	}
}

func (r *rewriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		r.exprs(s.Lhs)
		r.exprs(s.Rhs)
	case *ast.LocalAssignStmt:
		for i, e := range s.Exprs {
			if i < len(s.Names) && r.isRoot(e) {
				r.roots[s.Names[i]] = true
			}
		}
		r.exprs(s.Exprs)
	case *ast.FuncCallStmt:
		s.Expr = r.expr(s.Expr)
	case *ast.DoBlockStmt:
		r.block(s.Stmts)
	case *ast.WhileStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Stmts)
	case *ast.RepeatStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Stmts)
	case *ast.IfStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Then)
		r.block(s.Else)
	case *ast.NumberForStmt:
		s.Init, s.Limit, s.Step = r.expr(s.Init), r.expr(s.Limit), r.expr(s.Step)
		r.block(s.Stmts)
	case *ast.GenericForStmt:
		r.exprs(s.Exprs)
		r.block(s.Stmts)
	case *ast.FuncDefStmt:
		s.Name.Func, s.Name.Receiver = r.expr(s.Name.Func), r.expr(s.Name.Receiver)
		r.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		r.exprs(s.Exprs)
	}
}

func (r *rewriter) exprs(list []ast.Expr) {
	for i := range list {
		list[i] = r.expr(list[i])
	}
}

// expr rewrites e, which may be nil, and returns what takes its place.
func (r *rewriter) expr(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		if path := r.path(e); path != "" {
			r.uses = append(r.uses, Use{path, e.Line()})
			return e
		}
		e.Object, e.Key = r.expr(e.Object), r.expr(e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			f.Key, f.Value = r.expr(f.Key), r.expr(f.Value)
		}
	case *ast.FuncCallExpr:
		e.Func, e.Receiver = r.expr(e.Func), r.expr(e.Receiver)
		r.exprs(e.Args)
	case *ast.LogicalOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.RelationalOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.ArithmeticOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.UnaryMinusOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.UnaryNotOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.UnaryLenOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.FunctionExpr:
		r.block(e.Stmts)
	case *ast.StringConcatOpExpr:
		return r.concat(e)
	}
	return e
}

// concat turns a .. b .. c into (concat)(a, b, c). The operator is
// right-associative, so the chain hangs on the right-hand side.
func (r *rewriter) concat(e *ast.StringConcatOpExpr) ast.Expr {
	var operands []ast.Expr
	var last ast.Expr = e
	for {
		c, ok := last.(*ast.StringConcatOpExpr)
		if !ok {
			break
		}
		operands = append(operands, oneValue(r.expr(c.Lhs)))
		last = c.Rhs
	}
	operands = append(operands, oneValue(r.expr(last)))
	line, lastLine := e.Line(), e.LastLine()
	// Long chains begin with a call of their first operands: nested on this
	// side, a call holds its registers only while it runs.
	result := concatCall(operands[:min(concatArgs, len(operands))], line, lastLine)
	for rest := operands[min(concatArgs, len(operands)):]; len(rest) > 0; {
		n := min(concatArgs-1, len(rest))
		result = concatCall(append([]ast.Expr{result}, rest[:n]...), line, lastLine)
		rest = rest[n:]
	}
	return result
}

func concatCall(args []ast.Expr, line, lastLine int) *ast.FuncCallExpr {
	f := &ast.IdentExpr{Value: concatName}
	f.SetLine(line)
	f.SetLastLine(lastLine)
	call := &ast.FuncCallExpr{Func: f, Args: args, AdjustRet: true}
	call.SetLine(line)
	call.SetLastLine(lastLine)
	return call
}

// oneValue keeps a call or `...` from spreading into several arguments.
func oneValue(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

// isRoot reports whether e is require("root").
func (r *rewriter) isRoot(e ast.Expr) bool {
	call, ok := e.(*ast.FuncCallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	f, ok := call.Func.(*ast.IdentExpr)
	arg, isString := call.Args[0].(*ast.StringExpr)
	return ok && isString && f.Value == "require" && arg.Value == r.root
}

// path is "a.b" for root.a.b with constant names, else "".
func (r *rewriter) path(e *ast.AttrGetExpr) string {
	key, ok := e.Key.(*ast.StringExpr)
	if !ok {
		return ""
	}
	switch object := e.Object.(type) {
	case *ast.IdentExpr:
		if r.roots[object.Value] {
			return key.Value
		}
	case *ast.AttrGetExpr:
		if before := r.path(object); before != "" {
			return before + "." + key.Value
		}
	case *ast.FuncCallExpr:
		if r.isRoot(object) {
			return key.Value
		}
	}
	return ""
}
