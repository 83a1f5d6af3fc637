package server_test

import (
	"bufio"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/config"
	"nearside/internal/testkit"
)

// example is a request or an answer of docs/api.md.
type example struct {
	first  string // the request line without HTTP/1.1, or the status line
	header textproto.MIMEHeader
	body   string
}

var (
	exampleBlock  = regexp.MustCompile("(?s)```http\n(.*?)\n```")
	exampleConfig = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	lineWrap      = regexp.MustCompile(`\n *`)
)

// parseExample reads a code block of type http.
func parseExample(t *testing.T, block string) example {
	t.Helper()
	head, body, _ := strings.Cut(block, "\n\n")
	first, header, _ := strings.Cut(head, "\n")
	fields, err := textproto.NewReader(bufio.NewReader(strings.NewReader(header + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%v in\n%s", err, block)
	}
	return example{first, fields, body}
}

// TestExamplesOfMatches sends the requests in the section "Examples of matches" of
// docs/api.md to a server with the configuration of that section. It compares status,
// headers and body of each answer with the answer in the document.
func TestExamplesOfMatches(t *testing.T) {
	page := string(testkit.Must(os.ReadFile("../../docs/api.md")))
	_, section, found := strings.Cut(page, "\n## 7. Examples of matches\n")
	section, _, _ = strings.Cut(section, "\n## ")
	yaml := exampleConfig.FindStringSubmatch(section)
	if !found || yaml == nil {
		t.Fatal("docs/api.md has no section of examples with a configuration")
	}
	file := filepath.Join(t.TempDir(), "nearside.yaml")
	check(t, os.WriteFile(file, []byte(yaml[1]), 0o600))
	cfg, _, err := config.Read(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, func(s *settings) { s.versions = cfg.Descriptors.Versions })

	blocks := exampleBlock.FindAllStringSubmatch(section, -1)
	fences := strings.Count(section, "```")
	if len(blocks) < 28 || len(blocks)%2 != 0 || fences != 2*(len(blocks)+1) {
		t.Fatalf("%d blocks of requests and answers, %d fences", len(blocks), fences)
	}
	for pair := range slices.Chunk(blocks, 2) {
		x.checkExample(parseExample(t, pair[0][1]), parseExample(t, pair[1][1]))
	}
}

// checkExample sends a request and compares its answer.
func (x *service) checkExample(request, want example) {
	x.Helper()
	method, path, _ := strings.Cut(request.first, " ")
	var headers []string
	for name := range request.header {
		headers = append(headers, name, request.header.Get(name))
	}
	a := x.call(method, path, request.body, headers...)
	if got := a.response.Proto + " " + a.response.Status; got != want.first {
		x.Errorf("%s: %s, but docs/api.md has %s", request.first, got, want.first)
	}
	for name := range want.header {
		a.header(name, want.header.Get(name))
	}
	if a.response.Header.Get("Content-Type") != lines {
		want.body = lineWrap.ReplaceAllString(want.body, "") // docs/api.md wraps JSON
	}
	if diff := cmp.Diff(want.body+"\n", string(a.body)); diff != "" {
		x.Errorf("%s\n%s\nis answered differently than in docs/api.md (-document +server):\n%s", request.first, request.body, diff)
	}
}
