package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"nearside/internal/testkit"
)

// crowd is a group of clients that send requests until end is called.
type crowd struct {
	outcomes chan outcome // unbuffered: a client waits until its outcome is read
	calls    atomic.Int64 // number of calls of waitAnswers
	done     chan struct{}
	all      sync.WaitGroup
	once     sync.Once
}

// outcome is the result of a request.
type outcome struct {
	code int
	call int64 // number of the call of waitAnswers during which the request began
}

// startCrowd starts clients, each of which sends one request after another. request
// returns a request and the error codes that are allowed for it. An answer must be right
// or have one of these codes.
func startCrowd(t *testing.T, w *world, p *process, request func(*rand.Rand) (*matchRequest, []int)) *crowd {
	c := &crowd{outcomes: make(chan outcome), done: make(chan struct{})}
	for n := range 4 {
		rng := rand.New(rand.NewPCG(5, uint64(n)))
		c.all.Go(func() {
			for {
				call := c.calls.Load()
				r, allowed := request(rng)
				_, code, err := w.match(p, r, allowed...)
				if err != nil {
					t.Errorf("%v\n%+v", err, r)
				}
				select {
				case c.outcomes <- outcome{code, call}:
				case <-c.done:
					return
				}
			}
		})
	}
	t.Cleanup(c.end)
	return c
}

func (c *crowd) end() {
	c.once.Do(func() { close(c.done) })
	c.all.Wait()
}

// waitAnswers waits for the answers to n requests that begin after the call, and returns how
// many failed.
func (c *crowd) waitAnswers(n int) (failed int) {
	for now := c.calls.Add(1); n > 0; {
		o := <-c.outcomes
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

// probeRequest returns a request with some of sets as candidates. Its reference, probe,
// needs no remote.
func probeRequest(rng *rand.Rand, sets ...askedSet) *matchRequest {
	r := &matchRequest{References: []askedReference{probe}, account: testkit.Pick(rng, "", accountA)}
	for range 1 + rng.IntN(3) {
		r.Candidates = append(r.Candidates, testkit.Pick(rng, sets...))
	}
	return r
}

// TestRemoteChaos kills, stops and restarts an owner under load. Requests that do not
// need the owner always succeed. The others are answered correctly or fail as documented.
func TestRemoteChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel()
	w := newPair(t)
	lists := []string{listHere, listEast, listBoth, listWest}
	c := startCrowd(t, w.world, w.here, func(rng *rand.Rand) (*matchRequest, []int) {
		if rng.IntN(2) == 0 {
			return probeRequest(rng, faces(), faceList(listHere), faceList(listWest), faces(listBoth, listWest), origin("events"), origin("attributes")), nil
		}
		return w.randomRequest(rng, lists), []int{12050, 12060}
	})
	c.waitAnswers(100)
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
		n := c.waitAnswers(20 + rng.IntN(60))
		for range 100 { // requests that need a stopped owner are answered last
			if n > 0 {
				break
			}
			n = c.waitAnswers(20)
		}
		if n == 0 {
			t.Errorf("%s: no request failed", kind)
		}
		failed += n
		switch kind {
		case "both":
			w.east.signal(t, syscall.SIGKILL)
			failed += c.waitAnswers(20)
			fallthrough
		case "kill":
			w.east.wait()
			w.east.restart(t)
		case "stop":
			w.east.signal(t, syscall.SIGCONT)
		}
		eventually(t, func() error {
			if n := c.waitAnswers(60); n > 0 {
				failed += n
				return fmt.Errorf("after %s: %d requests failed although the owner is running again", kind, n)
			}
			return nil
		})
		if t.Failed() {
			t.Fatal(w.here.log())
		}
	}
	c.end()
	w.here.settles(t, before)
	t.Logf("%d requests failed as documented", failed)
	w.here.stop(t)
}

// TestRemotesReload changes the remotes by SIGHUP under load. No request fails.
func TestRemotesReload(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	c := startCrowd(t, w.world, w.here, func(rng *rand.Rand) (*matchRequest, []int) {
		return probeRequest(rng, faces(), faceList(listHere), faceList(listBoth), faceList(listWest), origin("events")), nil
	})
	east := fmt.Sprintf("    - {name: east, url: \"%s\", lists: [\"%s\", \"%s\"]}\n", w.east.url, listEast, listBoth)
	eastWithout := fmt.Sprintf("    - {name: east, url: \"%s\", lists: [\"%s\"]}\n", w.east.url, listEast)
	west := fmt.Sprintf("    - {name: west, url: \"%s\", origins: [events], lists: [\"%s\", \"%s\"]}\n", w.west.url, listBoth, listWest)
	westWithout := fmt.Sprintf("    - {name: west, url: \"%s\", origins: [events], lists: [\"%s\"]}\n", w.west.url, listWest)
	reload := func(lines, message string) {
		t.Helper()
		c.waitAnswers(20)
		if err := os.WriteFile(w.config, []byte(remotesConfig+"matchers:\n  remote:\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
		n := strings.Count(w.here.log(), message)
		w.here.signal(t, syscall.SIGHUP)
		eventually(t, func() error {
			c.waitAnswers(4)
			if strings.Count(w.here.log(), message) == n {
				return fmt.Errorf("the log does not have %q:\n%s", message, w.here.log())
			}
			return nil
		})
		c.waitAnswers(20)
	}
	chosen := func(set askedSet, want string) {
		t.Helper()
		if by, err := w.chosen(w.here, set); err != nil || by != want {
			t.Errorf("%s answered, want %s: %v", by, want, err)
		}
	}
	create := func(want int) {
		t.Helper()
		if status, text, err := w.here.call("POST", "/1/lists", map[string]any{"list_id": listEast}); status != want {
			t.Errorf("%d %s %v, want %d", status, text, err, want)
		}
	}
	const done, failed = "log level reloaded", "not reloaded"
	for range 3 {
		reload(east+westWithout, done)
		chosen(faceList(listBoth), "east")
		reload(eastWithout+west, done)
		chosen(faceList(listBoth), "west")
	}
	reload(eastWithout+west+"    - {name: east, url: \"http://127.0.0.1:1\"}\n", failed)
	reload(eastWithout+"    - {name: west, url: \"http://127.0.0.1:1\", lists: [x]}\n", failed)
	chosen(faceList(listBoth), "west")
	chosen(faceList(listEast), "east")
	create(http.StatusForbidden)

	reload(west, done)
	if _, code, err := w.match(w.here, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{faceList(listEast)}}); err == nil {
		t.Errorf("%d: east still owns the list", code)
	}
	create(http.StatusCreated) // this server owns the list now
	reload(west+east, done)
	chosen(faceList(listEast), "east")
	create(http.StatusForbidden)
	c.end()
}
