package nearside_test

import (
	"go/ast"
	"path"
	"regexp"
	"testing"
)

// TestWalk: docs/walk.md names each function once, and every function exists.
func TestWalk(t *testing.T) {
	declared := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !s.test {
				declared[path.Base(s.dir)+"."+receiverPrefix(f)+f.Name.Name] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, name := range regexp.MustCompile("`([a-z]+(?:\\.\\w+)+)`").FindAllStringSubmatch(read(t, "docs/walk.md"), -1) {
		if !declared[name[1]] {
			t.Errorf("docs/walk.md: there is no function %s", name[1])
		}
		if seen[name[1]] {
			t.Errorf("docs/walk.md: %s is named twice", name[1])
		}
		seen[name[1]] = true
	}
	if len(seen) < 40 {
		t.Errorf("docs/walk.md names only %d functions", len(seen))
	}
}

// receiverPrefix returns the type of a method with a dot, and "" for a function.
func receiverPrefix(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	return typ.(*ast.Ident).Name + "."
}
