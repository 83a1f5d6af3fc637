package nearside_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents returns the Markdown files of the repository.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestLinksOfDocuments: each relative link leads to a file, and its anchor to a
// heading there.
func TestLinksOfDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, path := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(read(t, path), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link %s: %v", path, found[1], err)
			} else if anchor != "" && !anchors(read(t, to))[anchor] {
				t.Errorf("%s: the link %s: %s has no such heading", path, found[1], to)
			}
		}
	}
}

// anchors are the names that links give to the headings of a document: in lower
// case, with hyphens for spaces and without punctuation.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all[strings.ReplaceAll(name, " ", "-")] = true
	}
	return all
}

// TestTargetsOfDocuments: each make target that a document names exists.
func TestTargetsOfDocuments(t *testing.T) {
	targets := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[found[1]] = true
	}
	named := 0
	for _, path := range documents(t) {
		for _, found := range regexp.MustCompile("(?m)(?:`|^)make ([a-z0-9-]+)").FindAllStringSubmatch(read(t, path), -1) {
			if named++; !targets[found[1]] {
				t.Errorf("%s: the Makefile has no target %s", path, found[1])
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d targets were found", named)
	}
}

// TestErrorCodesOfDocuments: each error code that a document names exists, and
// the table of docs/api.md has a line for each code.
func TestErrorCodesOfDocuments(t *testing.T) {
	codes := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\tCode\w+ +Code += (\d+)$`).FindAllStringSubmatch(read(t, "matcher/errors.go"), -1) {
		codes[found[1]] = true
	}
	if len(codes) < 30 {
		t.Fatalf("only %d codes were found in the source", len(codes))
	}
	named := 0
	code := regexp.MustCompile(`(?:^|[^\w.,-])((?:12|22|31)\d{3})\b`)
	for _, path := range documents(t) {
		if strings.HasPrefix(path, "bench/") {
			continue // its numbers of five digits are measurements
		}
		for _, found := range code.FindAllStringSubmatch(read(t, path), -1) {
			if named++; !codes[found[1]] {
				t.Errorf("%s names the error code %s, which does not exist", path, found[1])
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d codes were found in the documents", named)
	}
	var table strings.Builder
	for line := range strings.Lines(read(t, "docs/api.md")) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			table.WriteString(" " + strings.ReplaceAll(first, "/", " ") + " ")
		}
	}
	for code := range codes {
		if !strings.Contains(table.String(), " "+code+" ") {
			t.Errorf("the table of errors in docs/api.md has no line for %s", code)
		}
	}
}

// TestAPIOfDocuments: docs/api.md names each path of the OpenAPI document and each
// field of its schemas, and describes each field of GET /1/plugins in its section.
func TestAPIOfDocuments(t *testing.T) {
	var spec struct {
		Paths      map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(read(t, "internal/server/openapi.json")), &spec); err != nil {
		t.Fatal(err)
	}
	page := read(t, "docs/api.md")
	parameter := regexp.MustCompile(`\{\w+\}`)
	named := parameter.ReplaceAllString(page, "{id}")
	for path := range spec.Paths {
		if path = parameter.ReplaceAllString(path, "{id}"); !strings.Contains(named, path) {
			t.Errorf("docs/api.md does not name the path %s", path)
		}
	}
	_, section, _ := strings.Cut(page, "\n### GET /1/plugins\n")
	section, _, _ = strings.Cut(section, "\n## ")
	fields := 0
	for name, schema := range spec.Components.Schemas {
		for _, field := range schemaFields(schema) {
			fields++
			word := regexp.MustCompile(`\b` + regexp.QuoteMeta(field) + `\b`)
			if !word.MatchString(page) {
				t.Errorf("docs/api.md does not name the field %s of %s", field, name)
			}
			if name == "Plugins" && !word.MatchString(section) {
				t.Errorf("docs/api.md does not describe the field %s of GET /1/plugins", field)
			}
		}
	}
	if len(spec.Paths) < 30 || fields < 200 {
		t.Errorf("only %d paths and %d fields were found", len(spec.Paths), fields)
	}
}

// schemaFields returns the names of the properties below a schema.
func schemaFields(schema any) (names []string) {
	switch schema := schema.(type) {
	case []any:
		for _, below := range schema {
			names = append(names, schemaFields(below)...)
		}
	case map[string]any:
		for key, below := range schema {
			properties, ok := below.(map[string]any)
			if key != "properties" || !ok {
				names = append(names, schemaFields(below)...)
				continue
			}
			for name, property := range properties {
				names = append(append(names, name), schemaFields(property)...)
			}
		}
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
