package server

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/matcher"
)

// cause connects a part of an error text in the source with the words of the page of
// errors.
type cause struct{ text, page string }

// causes has all causes of the codes that have several. A new error with such a code
// needs a line here and a description on the page.
var causes = map[string][]cause{
	"CodeTooLarge": {
		{"limits.body_bytes", "limits.body_bytes"},
		{"body: %w", "window"},
		{"the line must have", "line of an import"},
		{"as a line of an export", "as a line of an export"},
		{"one write must have at most", "stored at once"},
	},
	"CodeTooSlow": {{"header: fewer than", "header"}, {"body: fewer than", "body"}},
	"CodeUnavailable": {
		{"directory is being closed", "shutting down"},
		{"snapshots are being sent", "Eight snapshots"},
		{"limits.process_memory", "limits.process_memory"},
		{"limits.connections_per_address", "limits.connections_per_address"},
		{"later requests are waiting", "waits for others"},
		{"connections are open and none is idle", "too many connections"},
		{"shutting down", "shutting down"},
		{"data directory is closed", "shutting down"},
		{"the plugins are closed", "shutting down"},
		{"the server is starting", "starting"},
		{"the server is not ready", "disk cannot be written"},
		{"store: nothing can be written", "data directory is damaged"},
		{"matching: ", "limits.request_timeout"},
		{"memory: %d bytes for", "memory for its header, body or answer"},
		{"disk cannot be written", "disk cannot be written"},
		{"plugin %s", "plugin that the request needs"},
		{"remote %s", "remote that owns"},
		{"%s is not configured any more", "remote that owns"},
	},
	"CodeFull": {
		{"limits.memory", "limits.memory"}, {"limits.process_memory", "limits.process_memory"}, {"disk is full", "The disk"}, {"%w", "limit"},
	},
	"CodeDeadline": {
		{"deadline passed", "limits.request_timeout"},
		{"matcher %s", "limits.request_timeout"},
		{"the request ended before its write", "limits.request_timeout"},
		{"did not arrive in time", "did not arrive in time"},
		{"plugin %s: route", "route of a plugin"},
	},
	"CodeTooMany": {
		{"(limits.%s)", "limits.filter_values"},
		{"must have at most %d values", "values"},
		{"names and values", "names and values"},
		{"their limits, group sizes and offsets allow", "2,000,000 rows"},
		{"pairs", "pairs of a raw match"},
		{"filters, labels or ids", "256 MiB"},
		{"the texts and descriptors of its objects", "64 MiB of texts and descriptors"},
		{"the texts of its objects have more than", "8 MiB of texts"},
		{"must be at most %d references after", "type together: 32 references"},
		{"filters: must select at most %d objects", "an erasure: 1,000,000 objects"},
		{"references", "limits.references"},
	},
	"CodeForbidden": {
		{"belongs to another account", "another account"},
		{"owned by", "remote matcher owns"},
		{"face_ids[%d]: %w", "another account"},
		{"list_accounts.%s: %s is another account", "another account"},
		{"needs the role", "role of the key is too low"},
		{"bound to another account", "bound to"},
		{"not bound to the list", "bound to"},
		{"bound to lists", "bound to"},
		{"the lists that the key is bound to", "bound to"},
		{"header: Host", "foreign Host or Origin"},
		{"header: Origin", "foreign Host or Origin"},
	},
	"CodeMediaType": {{"Content-Type", "Content-Type"}, {"Content-Encoding", "Content-Encoding"}},
	"CodeNoMatcher": {
		{"no matcher has", "different remotes"}, {"was already forwarded", "different remotes"}, {"%s: %w", "No matcher"}, {"declined", "declined"}, {"does not know this field", "too old"}, {"does not know the type together", "too old"},
	},
	"CodeNoDescriptor": {{"has no %s descriptor", "no descriptor"}, {"version that is registered", "version"}},
}

// articles returns the text of the page by code.
func articles(t *testing.T) map[string]string {
	t.Helper()
	page, ok := files["ui/errors.html"]
	if !ok {
		t.Fatal("there is no page of errors")
	}
	all := map[string]string{}
	for _, found := range regexp.MustCompile(`(?s)<article id="(\d+)">(.*?)</article>`).FindAllStringSubmatch(string(page), -1) {
		all[found[1]] = strings.NewReplacer("<code>", "", "</code>", "").Replace(found[2])
	}
	return all
}

// TestErrorPageStatuses checks that the page has the status of every code.
func TestErrorPageStatuses(t *testing.T) {
	all := articles(t)
	for code, f := range faults {
		want := fmt.Sprintf("HTTP %d", f.status)
		switch code {
		case matcher.CodeRejected:
			want = "HTTP 400 to 499"
		case matcher.CodeBadInput: // see errLargeHeader
			want = "HTTP 400 or 431"
		}
		if !strings.Contains(all[strconv.Itoa(int(code))], "<span>"+want+"</span>") {
			t.Errorf("%d: the page needs %q", code, want)
		}
	}
}

// TestErrorPageCauses checks that the page describes every cause in the source, and
// that each cause here exists in the source.
func TestErrorPageCauses(t *testing.T) {
	all, used := articles(t), map[cause]bool{}
	names := codeNames(t)
	for _, site := range errorSites(t) {
		known, described := causes[site.code]
		at := slices.IndexFunc(known, func(c cause) bool { return strings.Contains(site.text, c.text) })
		switch {
		case !described:
		case at < 0:
			t.Errorf("%s: %s %q: add its cause to the page of errors, and to this test", site.place, site.code, site.text)
		case !strings.Contains(all[names[site.code]], known[at].page):
			t.Errorf("%s: the page of errors does not say %q of %s", site.place, known[at].page, site.code)
		default:
			used[known[at]] = true
		}
	}
	for code, known := range causes {
		for _, c := range known {
			if !used[c] {
				t.Errorf("%s: no error has the text %q", code, c.text)
			}
		}
	}
}

// errorSite is a place in the source that makes an error with a code.
type errorSite struct{ place, code, text string }

// errorSites finds all expressions with a code and a text: calls, and literals of
// structs.
func errorSites(t *testing.T) (sites []errorSite) {
	t.Helper()
	for _, folder := range []string{"../../matcher", "../../lua", "../access", "../../cmd/nearside", "."} {
		err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "trial" {
				return filepath.SkipDir // doubles for tests of plugins: no client sees their errors
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			positions := token.NewFileSet()
			file, err := parser.ParseFile(positions, name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				var code, text string
				switch n := n.(type) {
				case *ast.CallExpr:
					if nameOf(n.Fun) == "Overloaded" {
						code = "CodeUnavailable"
					}
					code, text = codeAndText(code, n.Args)
				case *ast.CompositeLit:
					var values []ast.Expr
					for _, e := range n.Elts {
						if pair, ok := e.(*ast.KeyValueExpr); ok {
							values = append(values, pair.Value)
						}
					}
					code, text = codeAndText("", values)
				}
				if code != "" && text != "" {
					sites = append(sites, errorSite{positions.Position(n.Pos()).String(), code, text})
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return sites
}

// codeAndText returns the code among expressions, and the first text in them.
func codeAndText(code string, all []ast.Expr) (found, text string) {
	for _, e := range all {
		if name := nameOf(e); strings.HasPrefix(name, "Code") {
			code = name
			continue
		}
		ast.Inspect(e, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && text == "" {
				text, _ = strconv.Unquote(lit.Value) // the parser has checked the literal
			}
			return text == ""
		})
	}
	return code, text
}

// nameOf returns the last name of an identifier or a selector.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// codeNames returns the number of each constant of matcher/errors.go.
func codeNames(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../matcher/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				names[spec.Names[0].Name] = lit.Value
			}
		}
		return true
	})
	if len(names) != len(faults) {
		t.Fatalf("%v, want %d codes", slices.Sorted(maps.Keys(names)), len(faults))
	}
	return names
}
