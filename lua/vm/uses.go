package vm

import "nearside/lua/vm/syntax"

// usesOf returns the places where a source reads a field of the root module:
// of a local that holds require(root), or of that call itself.
func usesOf(main *syntax.Function, root string) []Use {
	u := uses{root: root, roots: map[string]bool{}}
	syntax.Walk(main.Body, u.stmt, u.expr)
	return u.found
}

type uses struct {
	root  string
	roots map[string]bool // locals that hold the root module
	found []Use
}

func (u *uses) stmt(s syntax.Stmt) {
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

func (u *uses) expr(e syntax.Expr) bool {
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
func (u *uses) isRoot(e syntax.Expr) bool {
	call, ok := e.(*syntax.Call)
	if !ok || len(call.Args) != 1 {
		return false
	}
	f, ok := call.Func.(*syntax.Name)
	arg, isString := call.Args[0].(*syntax.String)
	return ok && isString && f.Name == "require" && arg.Value == u.root
}

// path is "a.b" for root.a.b with constant names, else "".
func (u *uses) path(e *syntax.Index) string {
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
