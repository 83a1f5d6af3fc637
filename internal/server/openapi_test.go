package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"nearside/internal/testkit"
)

var update = flag.Bool("update", false, "write generated files")

func readSpec() *openapi3.T { return testkit.Must(openapi3.NewLoader().LoadFromFile("openapi.yaml")) }

// TestOpenAPI checks that the document is valid, that its examples fit its schemas, that
// no object allows unknown fields unless the schema says so, that the IDs of operations
// are unique, and that errors and formats are described in the same way everywhere.
func TestOpenAPI(t *testing.T) {
	doc := readSpec()
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	for name, schema := range doc.Components.Schemas {
		if s := schema.Value; s.Type.Is("object") && s.AdditionalProperties.Schema == nil && (s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has) {
			t.Errorf("schema %s takes unknown fields", name)
		}
	}
	ids := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if other := ids[op.OperationID]; other != "" || op.OperationID == "" {
				t.Errorf("%s %s: operation id %q is empty or also that of %q", method, path, op.OperationID, other)
			}
			ids[op.OperationID] = path
			checkErrors(t, method+" "+path, op)
			checkMedia(t, method+" "+path, op)
		}
	}
}

// checkErrors checks that all answers 4xx and 5xx have the common schema of errors, and
// that the examples of errors have the text of their code.
func checkErrors(t *testing.T, where string, op *openapi3.Operation) {
	t.Helper()
	for status, answer := range op.Responses.Map() {
		if status < "400" || status == "502" {
			continue
		}
		for media, body := range answer.Value.Content {
			if body.Schema.Ref != "#/components/schemas/Error" {
				t.Errorf("%s %s %s: the schema is %q, want Error", where, status, media, body.Schema.Ref)
			}
			if example, ok := body.Example.(map[string]any); ok {
				code, err := strconv.Atoi(fmt.Sprint(example["error_code"]))
				if err != nil || example["desc"] != errorTable[code].desc {
					t.Errorf("%s %s: the example of error %v has desc %q, want %q", where, status, example["error_code"], example["desc"], errorTable[code].desc)
				}
			}
		}
		if answer.Value.Headers["Luna-Request-Id"] == nil {
			t.Errorf("%s %s: no request id", where, status)
		}
	}
}

// checkMedia checks that each JSON body can also be MessagePack, with the same
// schema.
func checkMedia(t *testing.T, where string, op *openapi3.Operation) {
	t.Helper()
	check := func(place string, c openapi3.Content) {
		in := c["application/json"]
		if in == nil || c["application/x-yaml"] != nil {
			return
		}
		if out := c["application/msgpack"]; out == nil || out.Schema.Ref != in.Schema.Ref {
			t.Errorf("%s %s: JSON and msgpack differ", where, place)
		}
	}
	if op.RequestBody != nil {
		check("request", op.RequestBody.Value.Content)
	}
	for status, answer := range op.Responses.Map() {
		check(status, answer.Value.Content)
	}
}

// TestOpenAPIExamples checks that the face of the examples is in the sample data,
// and that each line of the sample data fits the schema of a face.
func TestOpenAPIExamples(t *testing.T) {
	doc := readSpec()
	lines, err := os.Open("../../bench/data/faces.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	example, err := json.Marshal(doc.Components.Examples["FaceWrite"].Value.Value)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	in := bufio.NewScanner(lines)
	for in.Scan() {
		var face map[string]any
		if err := json.Unmarshal(in.Bytes(), &face); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas["FaceWrite"].Value.VisitJSON(face); err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(face)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Equal(line, example)
	}
	if in.Err() != nil || !found {
		t.Errorf("the example's face is not in faces.ndjson (%v)", in.Err())
	}
}

// TestGenerated checks what is generated from the OpenAPI document in YAML, which is
// written by hand: the lines about fields in it and in the page /docs, and the document
// in JSON, so that the server needs no YAML parser. With -update it writes them.
func TestGenerated(t *testing.T) {
	updateFields(t, "openapi.yaml")
	updateFields(t, "ui/docs.html")
	compact, err := json.Marshal(readSpec())
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Indent(&want, compact, "", " "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	if *update {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("openapi.json differs from openapi.yaml: run make generate")
	}
}

// TestErrorPage checks that the page of errors has an anchor for every code in the
// document, so that the links of errors work.
func TestErrorPage(t *testing.T) {
	page, err := os.ReadFile("ui/errors.html")
	if err != nil {
		t.Fatal(err)
	}
	codes := readSpec().Components.Schemas["Error"].Value.Properties["error_code"].Value.Enum
	if len(codes) == 0 {
		t.Fatal("the document lists no codes")
	}
	for _, code := range codes {
		text, err := json.Marshal(code)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(page), ` id="`+string(text)+`"`); n != 1 {
			t.Errorf("errors.html has %d anchors for %s", n, text)
		}
	}
}

// TestDocsPage checks that the page of the API shows every operation of the document,
// and loads nothing from other hosts.
func TestDocsPage(t *testing.T) {
	page, err := os.ReadFile("ui/docs.html")
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range readSpec().Paths.Map() {
		for method := range item.Operations() {
			if !bytes.Contains(page, []byte(`<b class="`+strings.ToLower(method)+`">`+method+`</b> <code>`+path+`</code>`)) {
				t.Errorf("docs.html does not show %s %s", method, path)
			}
		}
	}
	for _, name := range []string{"ui/docs.html", "ui/errors.html"} {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page = bytes.Replace(page, []byte(`<link rel="icon" href="/favicon.ico">`), nil, 1)
		foreign := []string{"<script", "<link", "@import", "url(", "src="}
		if i := slices.IndexFunc(foreign, func(s string) bool { return bytes.Contains(page, []byte(s)) }); i >= 0 {
			t.Errorf("%s contains %s", name, foreign[i])
		}
	}
}
