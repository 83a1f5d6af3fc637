package nearside_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLogLinesAreDocumented: docs/operating.md lists every message that the
// program logs as a warning or an error, and no other.
func TestLogLinesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	logged := map[string]bool{}
	for _, dir := range []string{"cmd", "internal", "lua", "matcher"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, message := range logMessages(t, path) {
				logged[message] = true
				if !strings.Contains(string(page), "`"+message+"`") {
					t.Errorf("%s logs %q, which docs/operating.md does not list", path, message)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(logged) < 30 {
		t.Errorf("only %d messages were found", len(logged))
	}
	_, table, _ := strings.Cut(string(page), "\n| message | what to do |\n")
	for line := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, message := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			if !logged[message[1]] {
				t.Errorf("docs/operating.md lists %q, which is not logged", message[1])
			}
		}
	}
}

// logMessages returns the constant messages of calls of Warn, Error and warn.
func logMessages(t *testing.T, path string) (messages []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Warn", "Error", "warn"}, method.Sel.Name) {
			return true
		}
		if text, ok := call.Args[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
			message, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, message)
		}
		return true
	})
	return messages
}
