package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
)

// matches returns how many matches of faces a server was asked for.
func (p *process) matches(t *testing.T) int {
	t.Helper()
	_, text, err := p.call("GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^nearside_requests_total\{route="POST:/matcher/faces",.*\} (\d+)$`).FindAllSubmatch(text, -1) {
		more, _ := strconv.Atoi(string(m[1])) // they are digits
		n += more
	}
	return n
}

// TestMutualRemotes: servers that are replicas of each other, each cheaper than
// the other one's own memory, do not send a match to and fro.
func TestMutualRemotes(t *testing.T) {
	t.Parallel()
	w := newWorld(5)
	w.things = w.things[:len(w.things)-1] // but for the twin
	for _, o := range w.things {
		o.at = places
	}
	left, right := newBackend(t), newBackend(t)
	w.load(t, left.process, "here")
	w.load(t, right.process, "here")
	other := map[*backend]*backend{left: right, right: left}
	for b, its := range other {
		text := remotesConfig + fmt.Sprintf("matchers:\n  remote:\n    - {name: other, url: \"%s\", cost: 10}\n", its.url)
		if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.signal(t, syscall.SIGHUP)
	}
	for b := range other {
		w.untilChosen(t, b.process, faces(), "other")
	}
	for b, its := range other {
		for name, r := range map[string]*matchRequest{
			"a set":               {References: []askedReference{probe}, Candidates: []askedSet{faces()}},
			"a key of nobody":     {References: []askedReference{{Type: "face_external_id", ID: "nobody"}}, Candidates: []askedSet{faces()}},
			"an event of nowhere": {References: []askedReference{{Type: "event", ID: listNowhere}}, Candidates: []askedSet{faces()}},
		} {
			mine, theirs := b.matches(t), its.matches(t)
			if _, _, err := w.match(b.process, r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if mine, theirs = b.matches(t)-mine, its.matches(t)-theirs; mine != 1 || theirs > 1 {
				t.Errorf("%s: %d matches here, %d there", name, mine, theirs)
			}
		}
	}
}
