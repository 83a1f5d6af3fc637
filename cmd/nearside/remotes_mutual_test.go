package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
)

// matches returns the number of match requests for faces that a server has received.
func (p *process) matches(t *testing.T) int {
	t.Helper()
	_, text, err := p.call("GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^nearside_requests_total\{route="POST:/matcher/faces",.*\} (\d+)$`).FindAllSubmatch(text, -1) {
		more, _ := strconv.Atoi(string(m[1])) // cannot fail: only digits
		n += more
	}
	return n
}

// TestMutualRemotes: two servers that are replicas of each other do not send a match
// back and forth, although each remote is cheaper than the local matcher.
func TestMutualRemotes(t *testing.T) {
	t.Parallel()
	w := newWorld(5)
	w.objects = w.objects[:len(w.objects)-1] // without the twin
	for _, o := range w.objects {
		o.at = places
	}
	left, right := newBackend(t), newBackend(t)
	w.storeObjects(t, left.process, "here")
	w.storeObjects(t, right.process, "here")
	replicaOf := map[*backend]*backend{left: right, right: left}
	for b, replica := range replicaOf {
		text := remotesConfig + fmt.Sprintf("matchers:\n  remote:\n    - {name: other, url: \"%s\", cost: 10}\n", replica.url)
		if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.signal(t, syscall.SIGHUP)
	}
	for b := range replicaOf {
		w.untilChosen(t, b.process, faces(), "other")
	}
	for b, replica := range replicaOf {
		for name, r := range map[string]*matchRequest{
			"a set":               {References: []askedReference{probe}, Candidates: []askedSet{faces()}},
			"a key without faces": {References: []askedReference{{Type: "face_external_id", ID: "nobody"}}, Candidates: []askedSet{faces()}},
			"an unknown event":    {References: []askedReference{{Type: "event", ID: listNowhere}}, Candidates: []askedSet{faces()}},
		} {
			received, forwarded := b.matches(t), replica.matches(t)
			if _, _, err := w.match(b.process, r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if received, forwarded = b.matches(t)-received, replica.matches(t)-forwarded; received != 1 || forwarded > 1 {
				t.Errorf("%s: %d matches at the server, %d at its replica", name, received, forwarded)
			}
		}
	}
}
