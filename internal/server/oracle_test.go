package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is the oracle: what a server should hold, and what it should answer.
// It is plain values and loops over them, and uses nothing of the product.
type world struct {
	rng    *rand.Rand // of the step
	now    time.Time
	bounds bounds
	seen   map[string]int // how often what was asked with success

	*holding              // of the server that is asked
	holdings   []*holding // of all servers
	everywhere bool       // requests are about the things of all

	accounts, people, ids, moments []string
	center                         map[*model][][]byte

	topology
}

// holding is what a server holds.
type holding struct {
	things  [3][]*thing // in the order in which they were made
	lists   []*listed
	listIDs []string // that its lists may have
}

// pool are the things of an origin that a request may be about.
func (w *world) pool(origin int) []*thing {
	if !w.everywhere || len(w.holdings) == 1 {
		return w.things[origin]
	}
	return slices.Concat(w.holdings[0].things[origin], w.holdings[1].things[origin])
}

func newWorld(seed uint64, in topology) *world {
	w := &world{
		now: time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC), bounds: bounds{references: 12, cross: 400, values: 70},
		seen: map[string]int{}, topology: in,
	}
	w.rng = rand.New(rand.NewPCG(seed, 0))
	w.center = w.centers()
	for range 4 {
		w.accounts = append(w.accounts, w.newID())
	}
	for range 30 {
		w.ids = append(w.ids, w.newID())
	}
	w.holdings = []*holding{{}}
	if in.remote != nil && !in.copies {
		w.holdings = append(w.holdings, &holding{})
	}
	for i := range 14 {
		h := w.holdings[0]
		if i >= 12 && len(w.holdings) > 1 {
			h = w.holdings[1]
		}
		h.listIDs = append(h.listIDs, w.newID())
	}
	w.holding = w.holdings[0]
	for i := range 40 {
		w.people = append(w.people, fmt.Sprintf("person %d", i/2)+strings.Repeat("é", i%2))
		at := w.now.Add(-time.Duration(w.rng.Int64N(int64(3 * 365 * 24 * time.Hour))))
		w.moments = append(w.moments, at.Truncate(time.Duration(1+999*(i%2))*time.Millisecond).Format(clockForm))
	}
	return w
}

// oracleSteps is how many requests all servers get.
func oracleSteps() int {
	if text := os.Getenv("NEARSIDE_ORACLE_STEPS"); text != "" {
		return must(strconv.Atoi(text))
	}
	if testing.Short() || raced {
		return 2000
	}
	return 10_000
}

// run is one run of a topology.
type run struct {
	*world
	*service // that is asked
	services []*service
	seed     uint64
	step     int
}

// TestOracle sends random requests over random data, which changes meanwhile,
// to servers, and compares all answers with those of a world.
//
// NEARSIDE_ORACLE_SEED and _STEPS choose another run; with _ONLY=n the steps
// before n only write, so that the request of step n is asked alone.
func TestOracle(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("NEARSIDE_ORACLE_SEED"); text != "" {
		seed = must(strconv.ParseUint(text, 10, 64))
	}
	only, _ := strconv.Atoi(os.Getenv("NEARSIDE_ORACLE_ONLY"))
	steps := oracleSteps()
	var mu sync.Mutex
	seen := map[string]int{}
	for _, in := range topologies {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			r := openRun(t, seed, in)
			for r.step = 1; r.step <= steps*in.percent/100; r.step++ {
				r.rng = rand.New(rand.NewPCG(seed, uint64(r.step)))
				q := r.next()
				if only == 0 || q.writes || r.step == only {
					r.do(q)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for what, n := range r.seen {
				seen[what] += n
			}
		})
	}
	t.Cleanup(func() { // when all have ended
		if only == 0 && !t.Failed() {
			coverage(t, seen, steps)
		}
	})
}

// openRun starts the servers of a topology and fills them.
func openRun(t *testing.T, seed uint64, in topology) *run {
	w := newWorld(seed, in)
	r := &run{world: w, services: w.open(t), seed: seed}
	r.service = r.services[0]
	r.fill()
	return r
}

// next is a random request.
func (w *world) next() *request {
	w.holding, w.everywhere = w.holdings[0], true
	if w.chance(0.24) {
		w.everywhere = false
		if w.chance(0.4) {
			return w.readRequest()
		}
		return w.writeRequest()
	}
	switch n := w.rng.IntN(100); {
	case n < 82:
		return w.matchRequest()
	case n < 86:
		return w.rawRequest()
	case n < 92:
		return w.crossRequest()
	default:
		return w.wrongRequest()
	}
}

// fill makes lists and objects.
func (r *run) fill() {
	for n, h := range r.holdings {
		r.holding = h
		for range 2 * len(h.listIDs) / 3 {
			q := &request{query: map[string]string{}, writes: true, server: n}
			for r.createList(q); h.list(q.body.(map[string]any)["list_id"].(string)) != nil; {
				r.createList(q)
			}
			r.do(q)
		}
	}
	for origin, n := range population[:inAttributes] {
		for range n / 10 {
			q := &request{kind: "fill", method: "POST", path: "/1/import", query: map[string]string{"origin": origins[origin]}, writes: true}
			r.settle(q, origin)
			var things []*thing
			for range 10 {
				things = append(things, r.thing(origin))
				q.lines = append(q.lines, string(must(json.Marshal(r.written(things[len(things)-1])))))
			}
			q.answer = func() outcome {
				for _, t := range things {
					r.keep(t)
				}
				return outcome{status: 200, body: map[string]any{"accepted": 10.0, "rejected": 0.0, "errors": []any{}}}
			}
			r.do(q)
		}
	}
	for range population[inAttributes] {
		q := &request{query: map[string]string{}, writes: true}
		r.putAttribute(q)
		r.do(q)
	}
}

// do sends a request and compares the answer.
func (r *run) do(q *request) {
	r.Helper()
	before := r.Failed()
	want := q.answer()
	packIn, packOut := q.body != nil && r.chance(0.3), r.chance(0.3)
	if q.lines != nil || q.path == "/1/export" || q.path == "/1/import" {
		packOut = false
	}
	r.service = r.services[q.server]
	r.compare(q, want, packIn, packOut)
	if q.writes && r.copies {
		r.service = r.services[1]
		r.compare(q, want, packIn, packOut)
	}
	if !q.writes && r.step%10 == 0 && q.path != "/1/export" {
		r.compare(q, want, q.body != nil && !packIn, !packOut)
		r.seen["in both codecs"]++
	}
	if r.Failed() && !before {
		r.report(q)
	}
	if want.codes == nil {
		r.seen[q.kind]++
	} else {
		for _, code := range want.codes {
			r.seen["error "+itoa(code)]++
		}
	}
}
