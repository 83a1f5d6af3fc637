package vm

import "nearside/lua/vm/syntax"

// usesOf returns the places where a source reads a field of the root module. The
// object of such a read is a local with the value require(root), or require(root)
// itself.
func usesOf(main *syntax.Function, root string) []Use {
	u := useFinder{root: root, roots: map[string]bool{}}
	syntax.Walk(main.Body, u.visitStmt, u.visitExpr)
	return u.found
}

type useFinder struct {
	root  string
	roots map[string]bool // locals that hold the root module
	found []Use
}

func (u *useFinder) visitStmt(s syntax.Stmt) {
	local, ok := s.(*syntax.Local)
	if !ok {
		return
	}
	for i, e := range local.Values {
		if i < len(local.Names) && u.isRoot(e) {
			u.roots[local.Names[i]] = true
		}
	}
}

func (u *useFinder) visitExpr(e syntax.Expr) bool {
	ix, ok := e.(*syntax.Index)
	if !ok {
		return true
	}
	path := u.path(ix)
	if path == "" {
		return true
	}
	u.found = append(u.found, Use{path, ix.Line})
	return false
}

// isRoot reports whether e is require("root").
func (u *useFinder) isRoot(e syntax.Expr) bool {
	call, ok := e.(*syntax.Call)
	if !ok || len(call.Args) != 1 {
		return false
	}
	f, ok := call.Func.(*syntax.Name)
	arg, isString := call.Args[0].(*syntax.String)
	return ok && isString && f.Name == "require" && arg.Value == u.root
}

// path returns "a.b" for root.a.b with constant names, and "" for other expressions.
func (u *useFinder) path(e *syntax.Index) string {
	key, ok := e.Key.(*syntax.String)
	if !ok {
		return ""
	}
	switch object := e.Object.(type) {
	case *syntax.Name:
		if u.roots[object.Name] {
			return key.Value
		}
	case *syntax.Index:
		if before := u.path(object); before != "" {
			return before + "." + key.Value
		}
	case *syntax.Call:
		if u.isRoot(object) {
			return key.Value
		}
	}
	return ""
}
