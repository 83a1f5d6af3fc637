package memory

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/store"
)

// history is an applier that passes changes on and keeps every state, by number, for as
// long as an answer may still be compared with it.
type history struct {
	next store.Applier

	begun, done atomic.Int64 // states that Apply has started and finished

	mu      sync.Mutex
	changes int           // number of changes so far; a change is identified by its number
	ends    map[int64]int // by state: number of changes up to and including it
	objects map[place][]revision
	deleted map[matcher.ID][]int // by list: the changes that deleted it
	asked   map[int64]int        // by state: number of readers that started when it was the newest state
}

// revision is the state of an object after a change; object is nil if it was deleted.
type revision struct {
	change int
	object *matcher.Object
}

func newHistory(next store.Applier) *history {
	return &history{
		next: next, ends: map[int64]int{0: 0}, objects: map[place][]revision{},
		deleted: map[matcher.ID][]int{}, asked: map[int64]int{},
	}
}

func (h *history) Has(o matcher.Origin, id matcher.ID) bool { return h.next.Has(o, id) }

func (h *history) Admit(changes []store.Change) error { return h.next.Admit(changes) }

func (h *history) Hold() { h.next.Hold() }

func (h *history) Withdraw() { h.next.Withdraw() }

func (h *history) Apply(changes []store.Change) {
	state := h.begun.Load() + 1
	h.mu.Lock()
	for _, c := range changes {
		h.changes++
		switch c.Kind {
		case store.PutObject:
			at := place{c.Object.Origin, c.Object.ID}
			h.objects[at] = append(h.objects[at], revision{h.changes, c.Object})
		case store.DeleteObject:
			at := place{c.Origin, c.ID}
			h.objects[at] = append(h.objects[at], revision{h.changes, nil})
		case store.DeleteList:
			h.deleted[c.ID] = append(h.deleted[c.ID], h.changes)
		case store.PutList:
		}
	}
	h.ends[state] = h.changes
	if state%256 == 0 {
		h.forget()
	}
	h.mu.Unlock()
	h.begun.Store(state)
	h.next.Apply(changes)
	h.done.Store(state)
}

// forget drops the states that no reader needs any more.
func (h *history) forget() {
	oldest := h.done.Load()
	for state := range h.asked {
		oldest = min(oldest, state)
	}
	for state := range h.ends {
		if state < oldest {
			delete(h.ends, state)
		}
	}
	for at, all := range h.objects {
		first := 0
		for first+1 < len(all) && all[first+1].change <= h.ends[oldest] {
			first++
		}
		h.objects[at] = slices.Clone(all[first:])
	}
}

// ask calls read, and then check with the first and last state that the answer may show.
func (h *history) ask(read func(), check func(first, last int64)) {
	h.mu.Lock()
	first := h.done.Load()
	h.asked[first]++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.asked[first]--; h.asked[first] == 0 {
			delete(h.asked, first)
		}
	}()
	read()
	check(first, h.begun.Load())
}

// at returns all objects of a state.
func (h *history) at(state int64) map[place]*matcher.Object {
	h.mu.Lock()
	defer h.mu.Unlock()
	end, ok := h.ends[state]
	if !ok {
		panic(fmt.Sprintf("state %d was forgotten", state))
	}
	objects := map[place]*matcher.Object{}
	for at, all := range h.objects {
		i, _ := slices.BinarySearchFunc(all, end+1, func(r revision, change int) int { return r.change - change })
		if i > 0 && all[i-1].object != nil {
			objects[at] = h.linked(all[i-1], end)
		}
	}
	return objects
}

// linked returns an object with its lists at the end of a state. It drops lists that were
// deleted after the object was written.
func (h *history) linked(r revision, end int) *matcher.Object {
	gone := func(list matcher.ID) bool {
		i, _ := slices.BinarySearch(h.deleted[list], end+1)
		return i > 0 && h.deleted[list][i-1] > r.change
	}
	if !slices.ContainsFunc(r.object.Lists, gone) {
		return r.object
	}
	o := *r.object
	o.Lists = slices.DeleteFunc(slices.Clone(o.Lists), gone)
	if len(o.Lists) == 0 {
		o.Lists = nil
	}
	return &o
}
