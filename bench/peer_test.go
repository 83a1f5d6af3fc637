package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/bench/synth"
)

// fakePeer is a program of two peers: the first takes a millisecond and finds
// rows 3 and 4, the second takes two and finds none.
const fakePeer = `#!/bin/sh
test "$3 $4 $5 $6" = "uint8 512 300 64" || exit 1
echo '{"peer": "quick", "version": "1.0"}'
echo '{"peer": "slow", "version": "2.0"}'
echo '{"ready": true}'
while read peer queries threads; do
	case $peer in
	0) echo '{"seconds": 0.001, "rows": [3, 4]}' ;;
	1) echo '{"seconds": 0.002, "rows": []}' ;;
	*) exit 1 ;;
	esac
done
`

func startFake(t *testing.T, script string) (*suite, *peerProgram, *dataset, error) {
	s := testSuite(t)
	s.peers = t.TempDir()
	if err := os.WriteFile(filepath.Join(s.peers, "fake"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	d := must(s.dataset(synth.Faces, u8x512, 300))
	p, err := s.startPeer("fake", d)
	return s, p, d, err
}

func TestPeer(t *testing.T) {
	s, p, d, err := startFake(t, fakePeer)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.found, "; "); got != "quick 1.0; slow 2.0" {
		t.Errorf("found %q", got)
	}
	if seconds, err := p.run(1, 16, 2)(); err != nil || seconds != 0.002 {
		t.Errorf("%v s, %v", seconds, err)
	}
	want := 0.0
	for _, n := range must(d.nearest(0, everything, depth)) {
		if n.id == idOf(3) || n.id == idOf(4) {
			want += 0.1
		}
	}
	if got := must(p.recall(d, 0)); got != want {
		t.Errorf("recall %v, not %v", got, want)
	}
	if got := must(p.recall(d, 1)); got != -1 {
		t.Errorf("recall %v of no rows", got)
	}
	if err := s.besidePeers(d, usable()[:1], p, 1, 4); err != nil {
		t.Fatal(err)
	}
	if len(s.comparisons) != 4 {
		t.Fatalf("%d comparisons", len(s.comparisons))
	}
	c := s.closest(usable()[0].Name(), 4, "")
	if want := 0.001 / 300 / 4 * 1e9; c == nil || c.Peer != "quick" || c.Faster.Median <= 0 || c.Theirs != want || c.Recall != must(p.recall(d, 0)) {
		t.Errorf("%+v", c)
	}
	if c := s.closest(usable()[0].Name(), 4, "slow"); c == nil || c.Peer != "slow" || c.Recall != -1 {
		t.Errorf("%+v", c)
	}
	if c := s.closest("other", 4, ""); c != nil {
		t.Errorf("%+v", c)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

func TestPeersThatFail(t *testing.T) {
	for script, want := range map[string]string{
		"#!/bin/sh\nexit 0\n":          "ended before it was ready",
		"#!/bin/sh\necho nonsense\n":   "nonsense",
		"#!/bin/sh\necho '{\"ready\":": "",
	} {
		if _, _, _, err := startFake(t, script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", script, err)
		}
	}
	_, p, _, err := startFake(t, "#!/bin/sh\necho '{\"peer\": \"x\"}'\necho '{\"ready\": true}'\nread line\necho '{\"seconds\": 0}'\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ask(0, 1, 1); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("error %v", err)
	}
	if _, err := p.ask(0, 1, 1); err == nil {
		t.Error("a program that ended was asked")
	}
	_ = p.close() // it has ended by itself
}
