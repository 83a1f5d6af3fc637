package nearside_test

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSignatures checks that no third-party type is shown by an exported
// function, method, field or type.
func TestSignatures(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.ast.Name.Name == "main" {
			continue
		}
		foreign := map[string]string{} // by the name in this file
		for _, spec := range s.ast.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if strings.Contains(firstElement(imported), ".") && imported != "golang.org/x/sys/unix" {
				foreign[localName(spec, imported)] = imported
			}
		}
		if len(foreign) == 0 {
			continue
		}
		for _, shown := range exported(s.ast) {
			ast.Inspect(shown, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && foreign[x.Name] != "" {
						t.Errorf("%s: %s.%s of %s is in an exported signature", s.name, x.Name, sel.Sel.Name, foreign[x.Name])
					}
				}
				return true
			})
		}
	}
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// localName is the name by which a file knows an imported package.
func localName(spec *ast.ImportSpec, imported string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	if majorVersion.MatchString(path.Base(imported)) {
		imported = path.Dir(imported)
	}
	return path.Base(imported)
}

// exported returns the parts of f that other packages see: signatures of
// functions and methods, declared types without their unexported fields.
func exported(f *ast.File) []ast.Node {
	var shown []ast.Node
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
				shown = append(shown, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				shown = append(shown, exportedSpec(spec)...)
			}
		}
	}
	return shown
}

func exportedSpec(spec ast.Spec) []ast.Node {
	var shown []ast.Node
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		if slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) && spec.Type != nil {
			shown = append(shown, spec.Type)
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		structure, ok := spec.Type.(*ast.StructType)
		if !ok {
			return []ast.Node{spec.Type}
		}
		for _, field := range structure.Fields.List {
			if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
				shown = append(shown, field.Type)
			}
		}
	}
	return shown
}

func receiver(d *ast.FuncDecl) string {
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return name
}
