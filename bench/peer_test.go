package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/bench/synth"
	"nearside/internal/testkit"
)

// fakePeer is a program with two peers. The first reports one millisecond and rows 3 and
// 4, the second two milliseconds and no rows.
const fakePeer = `#!/bin/sh
test "$3 $4 $5 $6" = "uint8 512 300 256" || exit 1
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
	d := testkit.Must(s.dataset(synth.Faces, u8x512, 300))
	p, err := s.startPeer("fake", d)
	return s, p, d, err
}

func TestPeer(t *testing.T) {
	s, p, d, err := startFake(t, fakePeer)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.peerNotes, "; "); got != "quick 1.0; slow 2.0" {
		t.Errorf("peers %q, want %q", got, "quick 1.0; slow 2.0")
	}
	if seconds, err := p.timedRun(1, 16, 2)(); err != nil || seconds != 0.002 {
		t.Errorf("%v s, %v", seconds, err)
	}
	want := 0.0
	for _, n := range testkit.Must(d.nearest(0, everything, depth)) {
		if n.id == idOf(3) || n.id == idOf(4) {
			want += 0.1
		}
	}
	if got := testkit.Must(p.recall(d, 0)); got != want {
		t.Errorf("recall %v, want %v", got, want)
	}
	if got := testkit.Must(p.recall(d, 1)); got != -1 {
		t.Errorf("recall %v of a peer without rows, want -1", got)
	}
	if err := s.besidePeers(d, usableKernels()[:1], p, 1, 4); err != nil {
		t.Fatal(err)
	}
	if len(s.comparisons) != 4 {
		t.Fatalf("%d comparisons, want 4", len(s.comparisons))
	}
	c := s.closestComparison(usableKernels()[0].Name(), 4, "")
	if want := 0.001 / 300 / 4 * 1e9; c == nil || c.Peer != "quick" || c.Faster.Median <= 0 || c.Theirs != want || c.Recall != testkit.Must(p.recall(d, 0)) {
		t.Errorf("%+v", c)
	}
	if c := s.closestComparison(usableKernels()[0].Name(), 4, "slow"); c == nil || c.Peer != "slow" || c.Recall != -1 {
		t.Errorf("%+v", c)
	}
	if c := s.closestComparison("other", 4, ""); c != nil {
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
	if _, err := p.search(0, 1, 1); err == nil || !strings.Contains(err.Error(), "invalid answer") {
		t.Errorf("error %v", err)
	}
	if _, err := p.search(0, 1, 1); err == nil {
		t.Error("a search of a program that has ended succeeded")
	}
	_ = p.close() // the program has ended already
}
