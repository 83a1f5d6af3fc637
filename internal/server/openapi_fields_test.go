package server_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	gocmp "github.com/google/go-cmp/cmp"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// specField is one line of x-fields in the OpenAPI document.
type specField struct {
	Name        string
	In          []string
	Type        string // "text", "uuid" or "small"
	Any         string
	Is          string
	Range       string
	Description string
}

// specFields returns x-fields of the document. It reads no other part, because the rest
// may refer to lines that are not generated yet.
func specFields(t testing.TB) (fields []specField) {
	t.Helper()
	_, section, _ := strings.Cut(string(testkit.Must(os.ReadFile("openapi.yaml"))), "\nx-fields:\n")
	section, _, found := strings.Cut(section, "\npaths:\n")
	if !found {
		t.Fatal("openapi.yaml has no x-fields before paths")
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte("openapi: 3.0.3\ninfo: {title: fields, version: '1'}\npaths: {}\nx-fields:\n" + section))
	check(t, err)
	check(t, json.Unmarshal(testkit.Must(json.Marshal(doc.Extensions["x-fields"])), &fields))
	return fields
}

// TestSpecFields checks that x-fields of the document and the table of fields in
// package matcher declare the same fields.
func TestSpecFields(t *testing.T) {
	kinds := map[matcher.FieldKind]string{matcher.TextField: "text", matcher.UUIDField: "uuid", matcher.SmallField: "small", matcher.SmallsField: "smalls"}
	declared := map[string]*specField{}
	for o := range matcher.Origins {
		for _, f := range matcher.Fields(o) {
			key := f.Path() + " " + kinds[f.Kind] + " " + f.Any
			if declared[key] == nil {
				declared[key] = &specField{Name: f.Name, Type: kinds[f.Kind], Any: f.Any, Is: f.Is, Range: f.Range}
			}
			declared[key].In = append(declared[key].In, cmp.Or(f.Group, o.String()))
		}
	}
	var want []specField
	for _, f := range declared {
		want = append(want, *f)
	}
	got := specFields(t)
	for i := range got {
		got[i].Description = ""
	}
	for _, fields := range [][]specField{got, want} {
		for _, f := range fields {
			slices.Sort(f.In)
		}
		slices.SortFunc(fields, func(a, b specField) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// updateFields compares the lines about fields in a file with the lines that it generates
// from x-fields. With -update it writes them.
func updateFields(t *testing.T, path string) {
	t.Helper()
	old := string(testkit.Must(os.ReadFile(path)))
	regions := 0
	text := fieldRegion.ReplaceAllStringFunc(old, func(region string) string {
		regions++
		parts := fieldRegion.FindStringSubmatch(region)
		indent, begin, end := parts[1], parts[2], parts[4]
		var lines strings.Builder
		for _, line := range fieldLines(t, specFields(t), strings.Fields(parts[3])) {
			lines.WriteString(indent + line + "\n")
		}
		return indent + begin + "\n" + lines.String() + indent + end + "\n"
	})
	if regions == 0 {
		t.Errorf("%s has no lines about fields", path)
	}
	switch {
	case text == old:
	case *update:
		check(t, os.WriteFile(path, []byte(text), 0o644))
	default:
		t.Errorf("the lines about fields in %s differ from x-fields: run make generate", path)
	}
}

// fieldRegion finds the lines from "fields: ..." to "end of fields", which are comments of
// YAML or HTML.
var fieldRegion = regexp.MustCompile(`(?m)^( *)((?:#|<!--) fields: ([\w ]+?)(?: -->)?)\n(?:.*\n)*?\s*((?:#|<!--) end of fields(?: -->)?)\n`)

// fieldLines returns the lines of one region. The words after "fields:" are the form and
// the objects.
func fieldLines(t testing.TB, fields []specField, words []string) (lines []string) {
	t.Helper()
	form, objects := words[0], words[1:]
	if form == "query" || form == "filters" {
		if slices.Contains(objects, "events") {
			objects = append(objects, "location", "top_match") // their fields have filters of events
		}
	}
	for _, f := range fields {
		if len(objects) > 0 && !slices.ContainsFunc(objects, func(o string) bool { return slices.Contains(f.In, o) }) {
			continue
		}
		switch form {
		case "write":
			lines = append(lines, f.Name+": "+f.schema(true))
		case "read":
			lines = append(lines, f.Name+": "+f.schema(false))
		case "targets":
			lines = append(lines, "- "+f.Name)
		case "filters":
			lines = append(lines, f.filters()...)
		case "parameters":
			lines = append(lines, f.parameters()...)
		case "query":
			for _, parameter := range f.parameters() {
				name, _, _ := strings.Cut(parameter, ":")
				lines = append(lines, "- $ref: '#/components/parameters/"+name+"'")
			}
		case "table":
			lines = append(lines, f.row())
		default:
			t.Fatalf("unknown form %q of fields", form)
		}
	}
	return lines
}

// schema returns the schema of the value, as requests or as answers have it.
func (f *specField) schema(nullable bool) string {
	text := map[string]string{
		"text": "{type: string}", "uuid": "{$ref: '#/components/schemas/Id'}", "small": "{$ref: '#/components/schemas/Small'}",
		"smalls": "{$ref: '#/components/schemas/Smalls'}",
	}[f.Type]
	if nullable {
		text = map[string]string{
			"text": "{type: string, nullable: true}", "uuid": "{type: string, format: uuid, nullable: true}",
			"small":  "{type: integer, minimum: 0, maximum: 255, nullable: true}",
			"smalls": "{nullable: true, allOf: [{$ref: '#/components/schemas/Smalls'}]}",
		}[f.Type]
		if f.Description != "" {
			text = strings.TrimSuffix(text, "}") + ", description: '" + f.Description + "'}"
		}
	}
	return text
}

// filters returns the filters in a body.
func (f *specField) filters() (lines []string) {
	value := f.schema(false)
	if f.Type == "smalls" {
		value = "{$ref: '#/components/schemas/Small'}"
	}
	if f.Any != "" {
		lines = append(lines, f.Any+": {type: array, items: "+value+"}")
	}
	if f.Is != "" {
		lines = append(lines, f.Is+": "+value)
	}
	if f.Range != "" {
		lines = append(lines, f.Range+"__gte: "+value, f.Range+"__lt: "+value)
	}
	return lines
}

// parameters returns the filters in a query, as components of the document.
func (f *specField) parameters() (lines []string) {
	list := map[string]string{"text": "QueryText", "uuid": "QueryIds", "small": "QuerySmalls", "smalls": "QuerySmalls"}[f.Type]
	if f.Any != "" {
		lines = append(lines, fmt.Sprintf("%s: {name: %s, in: query, allowEmptyValue: true, schema: {type: array, items: {$ref: '#/components/schemas/%s'}}}",
			componentName(f.Any), f.Any, list))
	}
	single := []string{}
	if f.Is != "" {
		single = append(single, f.Is)
	}
	if f.Range != "" {
		single = append(single, f.Range+"__gte", f.Range+"__lt")
	}
	for _, name := range single {
		lines = append(lines, fmt.Sprintf("%s: {name: %s, in: query, schema: %s}", componentName(name), name, f.schema(false)))
	}
	return lines
}

// componentName returns the name of a parameter's component: AgeGte of age__gte.
func componentName(parameter string) string {
	var name strings.Builder
	for word := range strings.FieldsFuncSeq(parameter, func(r rune) bool { return r == '_' }) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// row returns the row of the field in the table of the page /docs.
func (f *specField) row() string {
	var filters []string
	for _, line := range f.filters() {
		name, _, _ := strings.Cut(line, ":")
		filters = append(filters, "<code>"+name+"</code>")
	}
	value := map[string]string{"text": "text", "uuid": "id", "small": "0 to 255", "smalls": "0 to 255, or up to 16 of them"}[f.Type]
	if f.Description != "" {
		value += ": " + html.EscapeString(f.Description)
	}
	return fmt.Sprintf("<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>",
		f.Name, strings.Join(f.In, ", "), value, strings.Join(filters, ", "))
}
