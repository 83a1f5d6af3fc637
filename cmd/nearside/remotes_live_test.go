package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// signal sends a signal to a server. One that is to stop has stopped then.
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

// backend is a server that is killed and started again where it was.
type backend struct {
	*process
	config, dir, at string
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{config: writeConfig(t, remotesConfig), dir: t.TempDir()}
	b.process = serve(t, b.config, b.dir)
	b.at = b.address()
	return b
}

func (b *backend) kill(t *testing.T) {
	t.Helper()
	b.signal(t, syscall.SIGKILL)
	b.wait()
}

func (b *backend) restart(t *testing.T) {
	t.Helper()
	b.process = serveAt(t, b.at, b.config, b.dir)
}

// chosen asks for a set and returns who answered.
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
	return "", fmt.Errorf("nobody was chosen: %+v", answer[0].Matches[0].Plan)
}

// untilChosen asks until somebody answers, and rightly every time.
func (w *world) untilChosen(t *testing.T, p *process, set askedSet, name string) {
	t.Helper()
	eventually(t, func() error {
		by, err := w.chosen(p, set)
		if err != nil {
			t.Fatal(err)
		}
		if by != name {
			return fmt.Errorf("%s has answered, want %s", by, name)
		}
		return nil
	})
}

// TestReplica: who answers does not show in an answer; a replica that fails is
// replaced by the memory of the server that was asked, and used again when it
// is back.
func TestReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(3)
	w.things = w.things[:len(w.things)-1] // but for the twin
	for _, o := range w.things {
		o.at = places
	}
	copied := newBackend(t)
	p := serve(t, writeConfig(t, remotesConfig+fmt.Sprintf("matchers:\n  remote:\n    - {name: copy, url: \"%s\", cost: 10, timeout: 1s}\n", copied.url)), t.TempDir())
	p.client.Timeout = 30 * time.Second
	w.load(t, p, "here")
	w.load(t, copied.process, "here")
	rng := rand.New(rand.NewPCG(4, 4))
	some := func() (unknown int) {
		t.Helper()
		for range 50 {
			r := w.randomRequest(rng, []string{listHere, listNowhere})
			_, code, err := w.match(p, r, 12050)
			if err != nil {
				t.Errorf("%v\n%s", err, mustJSON(t, r))
			}
			if code == 12050 { // a reference that is unknown here may be known there
				unknown++
			}
			r = calmRequest(rng, faces(), faceList(listHere), origin("events"), origin("attributes"))
			if _, _, err := w.match(p, r); err != nil {
				t.Errorf("%v\n%s", err, mustJSON(t, r))
			}
		}
		return unknown
	}
	healthy := func() {
		t.Helper()
		eventually(t, func() error {
			if n := some(); n > 0 {
				return fmt.Errorf("%d requests failed", n)
			}
			return nil
		})
	}
	w.untilChosen(t, p, faces(), "copy")
	healthy()
	for range 2 {
		copied.kill(t)
		w.untilChosen(t, p, faces(), "memory")
		some()
		copied.restart(t)
		w.untilChosen(t, p, origin("events"), "copy")
		healthy()
		copied.signal(t, syscall.SIGSTOP)
		w.untilChosen(t, p, faces(), "memory")
		some()
		copied.signal(t, syscall.SIGCONT)
		w.untilChosen(t, p, origin("attributes"), "copy")
		healthy()
	}
}

// pair is a server with two remotes, of which east comes and goes.
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
	for _, o := range w.things {
		if o.origin != "faces" && o.at[0] == "east" { // who owns no events and attributes need not answer for them
			o.at = []string{"west"}
		}
	}
	w.config = writeConfig(t, remotesConfig+strings.ReplaceAll(remoteLines(w.east.process, w.west), "lists:", "timeout: 1s, lists:"))
	w.here = serve(t, w.config, t.TempDir())
	w.here.client.Timeout = 30 * time.Second
	w.load(t, w.here, "here")
	w.load(t, w.east.process, "east")
	w.load(t, w.west, "west")
	return w
}

// TestOwnerFails: what only a dead or hanging owner knows is an error, never
// somebody else's answer; everything else is answered.
func TestOwnerFails(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	request := func(set askedSet, typ, id string) *matchRequest {
		return &matchRequest{References: []askedReference{{Type: typ, ID: id}}, Candidates: []askedSet{faces(), set}}
	}
	here := w.someAt("faces", "here").id
	needs := []*matchRequest{ // east
		request(faceList(listEast), "face", here),
		request(faces(listEast, listBoth), "face", here),
		request(faceList(listHere), "face", w.someAt("faces", "east").id),
		request(faceList(listHere), "face", listNowhere),
		request(faceList(listHere), "face_external_id", "key 1"),
	}
	others := []*matchRequest{
		request(faceList(listHere), "face", here),
		request(faceList(listWest), "face", here),
		request(faceList(listBoth), "face", here), // west has it, too
		request(faces(listBoth, listWest), "face", w.someAt("faces", "west").id),
		request(origin("events"), "event", w.someAt("events", "west").id),
		request(origin("events"), "event", listNowhere),
		request(origin("attributes"), "attribute", w.someAt("attributes", "west").id),
		request(faces(listEast, listHere), "face", here), // nobody has both
	}
	check := func() {
		t.Helper()
		for i, r := range needs {
			if _, code, err := w.match(w.here, r, 12050, 12060); err != nil || code == 0 {
				t.Errorf("needs %d: code %d: %v", i, code, err)
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
	back := func() {
		t.Helper()
		eventually(t, func() error {
			for i, r := range append(needs, others...) {
				switch _, code, err := w.match(w.here, r, 12050, 12060); {
				case err != nil:
					t.Fatal(i, err) // it is answered, but not rightly
				case code == 12050 || code == 12060:
					return fmt.Errorf("%d: %d", i, code)
				}
			}
			return nil
		})
	}
	back()
	w.east.kill(t)
	check()
	w.east.restart(t)
	back()
	w.east.signal(t, syscall.SIGSTOP)
	check()
	w.east.signal(t, syscall.SIGCONT)
	back()
	w.east.stop(t)
	check()
	w.east.restart(t)
	back()
}

// crowd is clients that send requests until it ends.
type crowd struct {
	outcomes chan outcome // nobody goes on before it is read
	calls    atomic.Int64 // of answers
	done     chan struct{}
	all      sync.WaitGroup
	once     sync.Once
}

// outcome is how a request ended that began during a call of answers.
type outcome struct {
	code int
	call int64
}

// startCrowd starts clients. Each sends what request gives it; an answer must be
// right or have one of the codes that are allowed for it.
func startCrowd(t *testing.T, w *world, p *process, request func(*rand.Rand) (*matchRequest, []int)) *crowd {
	l := &crowd{outcomes: make(chan outcome), done: make(chan struct{})}
	for n := range 4 {
		rng := rand.New(rand.NewPCG(5, uint64(n)))
		l.all.Go(func() {
			for {
				call := l.calls.Load()
				r, allowed := request(rng)
				_, code, err := w.match(p, r, allowed...)
				if err != nil {
					t.Errorf("%v\n%+v", err, r)
				}
				select {
				case l.outcomes <- outcome{code, call}:
				case <-l.done:
					return
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *crowd) end() {
	l.once.Do(func() { close(l.done) })
	l.all.Wait()
}

// answers waits for n answers to requests that begin from now on, and returns
// how many failed.
func (l *crowd) answers(n int) (failed int) {
	for now := l.calls.Add(1); n > 0; {
		o := <-l.outcomes
		if o.call != now {
			continue
		}
		n--
		if o.code == 12050 || o.code == 12060 {
			failed++
		}
	}
	return failed
}

// calmRequest asks for sets without asking for objects of remotes.
func calmRequest(rng *rand.Rand, sets ...askedSet) *matchRequest {
	r := &matchRequest{References: []askedReference{probe}, account: pick(rng, "", accountA)}
	for range 1 + rng.IntN(3) {
		r.Candidates = append(r.Candidates, pick(rng, sets...))
	}
	return r
}

// TestRemoteChaos kills, stops and starts an owner under load. What does not
// need it is always answered; what does is answered right, or fails as
// documented.
func TestRemoteChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel()
	w := newPair(t)
	lists := []string{listHere, listEast, listBoth, listWest}
	l := startCrowd(t, w.world, w.here, func(rng *rand.Rand) (*matchRequest, []int) {
		if rng.IntN(2) == 0 {
			return calmRequest(rng, faces(), faceList(listHere), faceList(listWest), faces(listBoth, listWest), origin("events"), origin("attributes")), nil
		}
		return w.randomRequest(rng, lists), []int{12050, 12060}
	})
	l.answers(100)
	before := w.here.resources(t)
	rng := rand.New(rand.NewPCG(6, 6))
	kinds := []string{"kill", "stop", "kill", "both", "stop", "kill"}
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	failed := 0
	for _, kind := range kinds {
		switch kind {
		case "kill":
			w.east.signal(t, syscall.SIGKILL)
		case "stop", "both":
			w.east.signal(t, syscall.SIGSTOP)
		}
		n := l.answers(20 + rng.IntN(60))
		if n == 0 {
			t.Errorf("%s: nothing failed", kind)
		}
		failed += n
		switch kind {
		case "both":
			w.east.signal(t, syscall.SIGKILL)
			failed += l.answers(20)
			fallthrough
		case "kill":
			w.east.wait()
			w.east.restart(t)
		case "stop":
			w.east.signal(t, syscall.SIGCONT)
		}
		eventually(t, func() error {
			if n := l.answers(60); n > 0 {
				failed += n
				return fmt.Errorf("after %s: %d fail although the owner is back", kind, n)
			}
			return nil
		})
		if t.Failed() {
			t.Fatal(w.here.log())
		}
	}
	l.end()
	w.here.settles(t, before)
	t.Logf("%d failed as documented", failed)
	w.here.stop(t)
}

// TestRemotesReload changes the remotes by SIGHUP under load: nothing fails.
func TestRemotesReload(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	l := startCrowd(t, w.world, w.here, func(rng *rand.Rand) (*matchRequest, []int) {
		return calmRequest(rng, faces(), faceList(listHere), faceList(listBoth), faceList(listWest), origin("events")), nil
	})
	east := fmt.Sprintf("    - {name: east, url: \"%s\", lists: [\"%s\", \"%s\"]}\n", w.east.url, listEast, listBoth)
	eastWithout := fmt.Sprintf("    - {name: east, url: \"%s\", lists: [\"%s\"]}\n", w.east.url, listEast)
	west := fmt.Sprintf("    - {name: west, url: \"%s\", origins: [events], lists: [\"%s\", \"%s\"]}\n", w.west.url, listBoth, listWest)
	westWithout := fmt.Sprintf("    - {name: west, url: \"%s\", origins: [events], lists: [\"%s\"]}\n", w.west.url, listWest)
	reload := func(lines, said string) {
		t.Helper()
		l.answers(20)
		if err := os.WriteFile(w.config, []byte(remotesConfig+"matchers:\n  remote:\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
		n := strings.Count(w.here.log(), said)
		w.here.signal(t, syscall.SIGHUP)
		eventually(t, func() error {
			l.answers(4)
			if strings.Count(w.here.log(), said) == n {
				return fmt.Errorf("it does not say %q:\n%s", said, w.here.log())
			}
			return nil
		})
		l.answers(20)
	}
	chosen := func(set askedSet, want string) {
		t.Helper()
		if by, err := w.chosen(w.here, set); err != nil || by != want {
			t.Errorf("%s has answered, want %s: %v", by, want, err)
		}
	}
	create := func(want int) {
		t.Helper()
		if status, text, err := w.here.call("POST", "/1/lists", map[string]any{"list_id": listEast}); status != want {
			t.Errorf("%d %s %v, want %d", status, text, err, want)
		}
	}
	const done, not = "log level reloaded", "not reloaded"
	for range 3 {
		reload(east+westWithout, done)
		chosen(faceList(listBoth), "east")
		reload(eastWithout+west, done)
		chosen(faceList(listBoth), "west")
	}
	reload(eastWithout+west+"    - {name: east, url: \"http://127.0.0.1:1\"}\n", not)
	reload(eastWithout+"    - {name: west, url: \"http://127.0.0.1:1\", lists: [x]}\n", not)
	chosen(faceList(listBoth), "west")
	chosen(faceList(listEast), "east")
	create(http.StatusForbidden)

	reload(west, done)
	if _, code, err := w.match(w.here, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{faceList(listEast)}}); err == nil {
		t.Errorf("%d: the list is still at east", code)
	}
	create(http.StatusCreated) // it is ours now
	reload(west+east, done)
	chosen(faceList(listEast), "east")
	create(http.StatusForbidden)
	l.end()
}
