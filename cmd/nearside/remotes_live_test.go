package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// signal sends a signal to a server. After SIGSTOP, it waits until the server has
// stopped.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	for s == syscall.SIGSTOP && !status.Stopped() {
		if _, err := syscall.Wait4(p.command.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			t.Fatal(err)
		}
	}
}

// backend is a server that can be killed and restarted at the same address.
type backend struct {
	*process
	config, dir, listen string
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{config: writeConfig(t, remotesConfig), dir: t.TempDir()}
	b.process = serve(t, b.config, b.dir)
	b.listen = b.address()
	return b
}

func (b *backend) kill(t *testing.T) {
	t.Helper()
	b.signal(t, syscall.SIGKILL)
	b.wait()
}

func (b *backend) restart(t *testing.T) {
	t.Helper()
	b.process = serveAt(t, b.listen, b.config, b.dir)
}

// chosen matches against a set and returns the name of the matcher that answered.
func (w *world) chosen(p *process, set askedSet) (string, error) {
	answer, _, err := w.match(p, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{set}})
	if err != nil {
		return "", err
	}
	for _, m := range answer[0].Matches[0].Plan.Matchers {
		if m.Chosen {
			return m.Name, nil
		}
	}
	return "", fmt.Errorf("no matcher was chosen: %+v", answer[0].Matches[0].Plan)
}

// untilChosen repeats a match until the named matcher answers. Every answer must be
// right.
func (w *world) untilChosen(t *testing.T, p *process, set askedSet, name string) {
	t.Helper()
	eventually(t, func() error {
		by, err := w.chosen(p, set)
		if err != nil {
			t.Fatal(err)
		}
		if by != name {
			return fmt.Errorf("%s answered, want %s", by, name)
		}
		return nil
	})
}

// TestReplica: answers do not depend on the matcher. If a replica fails, the local
// matcher answers. When the replica is back, it answers again.
func TestReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(3)
	w.objects = w.objects[:len(w.objects)-1] // without the twin
	for _, o := range w.objects {
		o.at = places
	}
	copied := newBackend(t)
	p := serve(t, writeConfig(t, remotesConfig+fmt.Sprintf("matchers:\n  remote:\n    - {name: copy, url: \"%s\", cost: 10, timeout: 1s}\n", copied.url)), t.TempDir())
	p.client.Timeout = 30 * time.Second
	w.storeObjects(t, p, "here")
	w.storeObjects(t, copied.process, "here")
	rng := rand.New(rand.NewPCG(4, 4))
	matchSome := func() (unknown int) {
		t.Helper()
		for range 50 {
			r := w.randomRequest(rng, []string{listHere, listNowhere})
			_, code, err := w.match(p, r, 12050)
			if err != nil {
				t.Errorf("%v\n%s", err, mustJSON(t, r))
			}
			if code == 12050 { // the replica may have a reference that is not in the local store
				unknown++
			}
			r = probeRequest(rng, faces(), faceList(listHere), origin("events"), origin("attributes"))
			if _, _, err := w.match(p, r); err != nil {
				t.Errorf("%v\n%s", err, mustJSON(t, r))
			}
		}
		return unknown
	}
	untilHealthy := func() {
		t.Helper()
		eventually(t, func() error {
			if n := matchSome(); n > 0 {
				return fmt.Errorf("%d requests failed", n)
			}
			return nil
		})
	}
	w.untilChosen(t, p, faces(), "copy")
	untilHealthy()
	for range 2 {
		copied.kill(t)
		w.untilChosen(t, p, faces(), "memory")
		matchSome()
		copied.restart(t)
		w.untilChosen(t, p, origin("events"), "copy")
		untilHealthy()
		copied.signal(t, syscall.SIGSTOP)
		w.untilChosen(t, p, faces(), "memory")
		matchSome()
		copied.signal(t, syscall.SIGCONT)
		w.untilChosen(t, p, origin("attributes"), "copy")
		untilHealthy()
	}
}

// pair is a server with the remotes east and west. Tests stop and restart east.
type pair struct {
	*world
	here   *process
	east   *backend
	west   *process
	config string // of here
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := &pair{world: newWorld(2), east: newBackend(t), west: serve(t, writeConfig(t, remotesConfig), t.TempDir())}
	for _, o := range w.objects {
		if o.origin != "faces" && o.at[0] == "east" { // east owns no events and attributes, so they would not be found while it is down
			o.at = []string{"west"}
		}
	}
	w.config = writeConfig(t, remotesConfig+strings.ReplaceAll(remoteLines(w.east.process, w.west), "lists:", "timeout: 1s, lists:"))
	w.here = serve(t, w.config, t.TempDir())
	w.here.client.Timeout = 30 * time.Second
	w.storeObjects(t, w.here, "here")
	w.storeObjects(t, w.east.process, "east")
	w.storeObjects(t, w.west, "west")
	return w
}

// TestOwnerFails: requests that need a dead or hanging owner fail; no other matcher
// answers them. All other requests succeed.
func TestOwnerFails(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	request := func(set askedSet, typ, id string) *matchRequest {
		return &matchRequest{References: []askedReference{{Type: typ, ID: id}}, Candidates: []askedSet{faces(), set}}
	}
	here := w.someAt("faces", "here").id
	needEast := []*matchRequest{
		request(faceList(listEast), "face", here),
		request(faces(listEast, listBoth), "face", here),
		request(faceList(listHere), "face", w.someAt("faces", "east").id),
		request(faceList(listHere), "face", listNowhere),
		request(faceList(listHere), "face_external_id", "key 1"),
	}
	others := []*matchRequest{
		request(faceList(listHere), "face", here),
		request(faceList(listWest), "face", here),
		request(faceList(listBoth), "face", here), // west owns it too
		request(faces(listBoth, listWest), "face", w.someAt("faces", "west").id),
		request(origin("events"), "event", w.someAt("events", "west").id),
		request(origin("events"), "event", listNowhere),
		request(origin("attributes"), "attribute", w.someAt("attributes", "west").id),
		request(faces(listEast, listHere), "face", here), // no matcher has both
	}
	check := func() {
		t.Helper()
		for i, r := range needEast {
			if _, code, err := w.match(w.here, r, 12050, 12060); err != nil || code == 0 {
				t.Errorf("needEast %d: code %d: %v", i, code, err)
			}
		}
		for i, r := range others {
			if _, _, err := w.match(w.here, r); err != nil {
				t.Errorf("other %d: %v", i, err)
			}
		}
		answer, err := ask(w.here, "POST", "/1/crossmatcher/faces", map[string]any{
			"references": map[string]any{"filters": faceList(listEast).Filters}, "candidates": map[string]any{"filters": faceList(listEast).Filters},
		})
		if err != nil {
			t.Fatal(err)
		}
		if code, err := answer.code(); err != nil || code != 12050 && code != 12060 {
			t.Errorf("cross match: %d %v", code, err)
		}
		if status, text, err := w.here.call("POST", "/1/lists", map[string]any{"list_id": listEast}); status != http.StatusForbidden {
			t.Errorf("write: %d %s %v", status, text, err)
		}
	}
	untilBack := func() {
		t.Helper()
		eventually(t, func() error {
			for i, r := range append(needEast, others...) {
				switch _, code, err := w.match(w.here, r, 12050, 12060); {
				case err != nil:
					t.Fatal(i, err) // a wrong answer
				case code == 12050 || code == 12060:
					return fmt.Errorf("%d: %d", i, code)
				}
			}
			return nil
		})
	}
	untilBack()
	w.east.kill(t)
	check()
	w.east.restart(t)
	untilBack()
	w.east.signal(t, syscall.SIGSTOP)
	check()
	w.east.signal(t, syscall.SIGCONT)
	untilBack()
	w.east.stop(t)
	check()
	w.east.restart(t)
	untilBack()
}
