package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	yamlBlock  = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	exampleURL = regexp.MustCompile(`http://10\.0\.0\.\d:5110`)
)

// TestRemotesGuide: the examples in docs/remotes.md are valid configurations, and
// requests go to the matchers that the text names.
func TestRemotesGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/remotes.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples", len(examples))
	}
	there := serve(t, writeConfig(t, remotesConfig), t.TempDir())
	list := func(n string) askedSet { return faceList("6c9a4f0e-0b51-4d6e-9c39-0a2f4be1c00" + n) }
	for i, sets := range []map[string]askedSet{
		{"east": list("1"), "west": list("3"), "east west": list("2"), "memory": faces()},
		{"archive": origin("events"), "memory": origin("faces")},
		{"copy": faces()},
	} {
		text := exampleURL.ReplaceAllString(examples[i][1], there.url)
		p := serve(t, writeConfig(t, remotesConfig+text), t.TempDir())
		for matchers, set := range sets {
			by, err := (&world{}).chosen(p, set)
			if err != nil || !strings.Contains(matchers, by) {
				t.Errorf("example %d: %s answered, want %s: %v", i+1, by, matchers, err)
			}
		}
	}
}

// TestRemotesAndPrefilters: no remote answers for a set to which a prefilter applies.
func TestRemotesAndPrefilters(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	copied := "    - {name: copy, url: \"" + w.west.url + "\", cost: 1}\nplugins: {active: [adults_only]}\n"
	p := serve(t, writeConfig(t, string(text)+copied), t.TempDir())
	if by, err := (&world{}).chosen(p, faces()); err != nil || by != "memory" {
		t.Errorf("%s answered: %v", by, err)
	}
	status, answer, err := p.call("POST", "/1/matcher/faces", &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{faceList(listEast)}})
	if err != nil || status != 403 || !strings.Contains(string(answer), `"error_code":31011`) || !strings.Contains(string(answer), "prefilters") {
		t.Errorf("%d %s %v", status, answer, err)
	}
}
