// Package oracle is a brute-force model of nearside, which tests compare servers
// with. It consists of plain values and loops over them. It shares no code with
// the product except the exact e^x of internal/precise.
//
// A [World] holds the objects and lists that the servers of a [Topology] should
// have, and makes random [Request] values about them. The Answer of a request
// changes the world and returns the [Outcome] that a server should answer with.
// A seed determines all requests. [Uncovered] checks that a run had enough successful
// requests of each kind.
//
// Only tests import this package.
package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"nearside/internal/testkit"
)

// World is the model of all servers of a topology: their objects, their lists and their
// answers. It is not for concurrent use.
type World struct {
	Topology Topology
	Now      time.Time // of all requests
	Limits   Limits
	Seen     map[string]int // how often each kind of request was successful

	rng *rand.Rand // of the current step

	*holding              // of the server that gets the current request
	holdings   []*holding // by server
	everywhere bool       // whether requests are about the objects of all servers

	accounts, people, ids, moments []string
	center                         map[*model][][]byte
}

// Limits are the limits that the first server must have.
type Limits struct{ References, CrossObjects, FilterValues int }

// holding has the objects and lists of a server.
type holding struct {
	objects [3][]*object // by origin, oldest first
	lists   []*storedList
	listIDs []string // the IDs that its lists may have
}

// New returns a world without objects. The seed determines all random values.
func New(seed uint64, in Topology) *World {
	w := &World{
		Topology: in,
		Now:      time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC), Limits: Limits{References: 12, CrossObjects: 400, FilterValues: 70},
		Seen: map[string]int{},
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
	if in.Remote && !in.Copies {
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
		w.people = append(w.people, fmt.Sprintf("person %d", i/2)+strings.Repeat(", é", i%2))
		at := w.Now.Add(-time.Duration(w.rng.Int64N(int64(3 * 365 * 24 * time.Hour))))
		w.moments = append(w.moments, at.Truncate(time.Duration(1+999*(i%2))*time.Millisecond).Format(clockForm))
	}
	w.moments = append(w.moments, "2025-12-31T23:59:59.999Z", "2024-02-29T23:59:59.999Z") // may be written as leap seconds
	return w
}

// Step sets the random numbers of a step. The next request depends only on the
// seed, the step and the state of the world.
func (w *World) Step(seed uint64, step int) {
	// PCG sources with neighbouring seeds begin with similar numbers, so the steps
	// are spread out.
	w.rng = rand.New(rand.NewPCG(seed, uint64(step)*0x9e3779b97f4a7c15))
}

// Next returns a random request.
func (w *World) Next() *Request {
	w.holding, w.everywhere = w.holdings[0], true
	if w.Chance(0.32) {
		w.everywhere = false
		if w.Chance(0.55) {
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

// NextWrite returns a random request to the first server that changes objects or
// lists.
func (w *World) NextWrite() *Request {
	w.holding, w.everywhere = w.holdings[0], false
	return w.writeRequest()
}

// NextRead returns a random match, cross match, page or object.
func (w *World) NextRead() *Request {
	return testkit.Pick(w.rng, []func() *Request{w.matchRequest, w.crossRequest, w.readRequest, w.readRequest}...)()
}

// Fill calls send with the requests that create the first lists and objects.
func (w *World) Fill(send func(*Request)) {
	for n, h := range w.holdings {
		w.holding = h
		for range 2 * len(h.listIDs) / 3 {
			r := &Request{Query: map[string]string{}, Writes: true, Server: n}
			for w.createList(r); h.list(r.Body.(map[string]any)["list_id"].(string)) != nil; {
				w.createList(r)
			}
			send(r)
		}
	}
	for origin, n := range population[:attributeOrigin] {
		for range n / 10 {
			send(w.fillImport(origin))
		}
	}
	for range population[attributeOrigin] {
		r := &Request{Query: map[string]string{}, Writes: true}
		w.putAttribute(r)
		send(r)
	}
}

// fillImport imports ten new objects.
func (w *World) fillImport(origin int) *Request {
	r := &Request{Kind: "fill", Method: "POST", Path: "/1/import", Query: map[string]string{"origin": Origins[origin]}, Writes: true}
	w.chooseServer(r, origin)
	var objects []*object
	for range 10 {
		o := w.newObject(origin)
		objects = append(objects, o)
		r.Lines = append(r.Lines, JSON(w.spellObject(o)))
	}
	r.Answer = func() Outcome {
		for _, o := range objects {
			w.store(o)
		}
		return Outcome{Status: 200, Body: map[string]any{"accepted": 10.0, "rejected": 0.0, "errors": []any{}}}
	}
	return r
}

// Chance returns true with probability p.
func (w *World) Chance(p float64) bool { return w.rng.Float64() < p }

// IDs returns the IDs of the objects of an origin at the first server.
func (w *World) IDs(origin string) []string {
	var ids []string
	for _, o := range w.holdings[0].objects[slices.Index(Origins[:], origin)] {
		ids = append(ids, o.id)
	}
	return ids
}

// Lists returns the IDs of the lists of the first server.
func (w *World) Lists() []string {
	var ids []string
	for _, l := range w.holdings[0].lists {
		ids = append(ids, l.id)
	}
	return ids
}

// Accounts returns the accounts that own objects and lists.
func (w *World) Accounts() []string { return slices.Clone(w.accounts) }

// ListIDs returns the IDs that the lists of a server may have.
func (w *World) ListIDs(server int) []string { return slices.Clone(w.holdings[server].listIDs) }

// pool returns the objects of an origin that a request may be about.
func (w *World) pool(origin int) []*object {
	if !w.everywhere || len(w.holdings) == 1 {
		return w.objects[origin]
	}
	return slices.Concat(w.holdings[0].objects[origin], w.holdings[1].objects[origin])
}
