package access

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"nearside/matcher"
)

// clock returns Turns with a clock that the test moves.
func clock(slots int) (*Turns, *time.Time) {
	turns, now := NewTurns(slots), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	turns.now = func() time.Time { return now }
	return turns, &now
}

// begun reports whether a turn has begun. A nil turn never waited.
func begun(w *turn) bool {
	if w == nil {
		return true
	}
	select {
	case <-w.begun:
		return true
	default:
		return false
	}
}

func (t *Turns) mustAdd(tb testing.TB, name string) *turn {
	tb.Helper()
	w, err := t.add(name)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// TestTurns checks which requests wait, and which of them begins next.
func TestTurns(t *testing.T) {
	turns, now := clock(4)
	for range 100 { // one caller alone never waits
		if !begun(turns.mustAdd(t, "a")) {
			t.Fatal("a waits alone")
		}
	}
	for range 2 {
		if !begun(turns.mustAdd(t, "b")) {
			t.Fatal("b waits below its share")
		}
	}
	third, over := turns.mustAdd(t, "b"), turns.mustAdd(t, "a")
	if begun(third) || begun(over) {
		t.Fatal("a request begins, although all slots are in use")
	}
	turns.Leave("b")
	if !begun(third) {
		t.Fatal("b is below its share and waits")
	}
	for range 98 {
		turns.Leave("a")
	}
	if begun(over) { // 2 of a and 2 of b run
		t.Fatal("a exceeds the slots")
	}
	turns.Leave("a")
	if !begun(over) {
		t.Fatal("a waits, although a slot is free")
	}
	for range 2 {
		turns.Leave("a")
		turns.Leave("b")
	}
	*now = now.Add(2 * time.Second) // b is not active any more
	for range 10 {
		if !begun(turns.mustAdd(t, "a")) {
			t.Fatal("a waits alone")
		}
	}
	if len(turns.callers) != 1 {
		t.Errorf("%d callers are kept", len(turns.callers))
	}
}

// TestTurnsByUsage checks that free slots go to the caller that has used less, and that the
// requests that were refused count as use.
func TestTurnsByUsage(t *testing.T) {
	turns, _ := clock(8)
	add := func(name string, n int) (all []*turn) {
		for range n {
			all = append(all, turns.mustAdd(t, name))
		}
		return all
	}
	running := func(a, b int) {
		t.Helper()
		if turns.callers["a"].running != a || turns.callers["b"].running != b {
			t.Fatalf("%d of a and %d of b run, want %d and %d", turns.callers["a"].running, turns.callers["b"].running, a, b)
		}
	}
	add("b", 1)
	add("a", 300) // most of them wait, and some of those are refused
	running(7, 1)
	add("b", 9)
	running(7, 4) // b begins below its share
	for range 3 {
		turns.Leave("a")
	}
	running(4, 4)
	for range 3 { // the slots of a go to b, which has used less, until a has a quarter of its share
		turns.Leave("a")
	}
	running(1, 7)
	turns.Leave("a") // b takes the free slot, and a begins because none of a runs
	running(1, 8)
	for range 2 {
		turns.Leave("b")
		running(1, 7)
	}
	turns.Leave("b") // the last request of b begins, and a may have its share again
	running(4, 7)
}

// TestTurnsOfOthers checks that requests do not wait for callers that have no requests.
func TestTurnsOfOthers(t *testing.T) {
	turns, now := clock(2)
	turns.mustAdd(t, "b")
	turns.mustAdd(t, "a")
	turns.Leave("b") // b stays active for a second
	turns.mustAdd(t, "a")
	var waiting []*turn
	for range waitingMax {
		waiting = append(waiting, turns.mustAdd(t, "a"))
	}
	if begun(waiting[0]) {
		t.Fatal("a exceeds the slots while b is active")
	}
	turns.mustAdd(t, "a")
	if !begun(waiting[0]) || waiting[0].err != nil {
		t.Fatalf("the oldest one does not run, although b has no requests: %v", waiting[0].err)
	}
	*now = now.Add(2 * time.Second)
	turns.mustAdd(t, "a")
	for i, w := range waiting {
		if !begun(w) || w.err != nil {
			t.Fatalf("request %d of %d waits, although a is alone: %v", i, waitingMax, w.err)
		}
	}
}

// TestWaitingTurns checks that waiting is bounded, ends with the request, and leaves
// nothing behind.
func TestWaitingTurns(t *testing.T) {
	turns, _ := clock(2)
	turns.mustAdd(t, "b")
	turns.mustAdd(t, "a")
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := errors.New("ended")
	done := make(chan error)
	for range waitingMax {
		go func() { done <- turns.Enter(ctx, "a") }()
	}
	waiting := func() int {
		turns.mu.Lock()
		defer turns.mu.Unlock()
		return len(turns.callers["a"].waiting)
	}
	for waiting() < waitingMax {
		runtime.Gosched()
	}
	go func() { done <- turns.Enter(ctx, "a") }()
	if err := <-done; matcher.CodeOf(err) != matcher.CodeUnavailable { // the oldest one is refused
		t.Error(err)
	}
	cancel(ended)
	if err := turns.Enter(ctx, "b"); !errors.Is(err, ended) { // b has its share of one, and waits
		t.Error(err)
	}
	for range waitingMax {
		if err := <-done; !errors.Is(err, ended) {
			t.Error(err)
		}
	}
	turns.Leave("a")
	turns.Leave("b")
	if turns.running != 0 || len(turns.order) != 0 || waiting() != 0 {
		t.Errorf("%d run, %d wait", turns.running, len(turns.order))
	}
}

// TestShares simulates a server that answers 16 requests at once, each in 16 ms, so 1000
// per second. Three callers send 250 requests per second each, and a fourth one sends ten
// times as much. Each request is worth something for 500 ms. The three must get at least
// 90 % of their answers in time, and the fourth one its share. Without turns, the queue is
// so long that nobody gets more than a few.
func TestShares(t *testing.T) {
	const seed = 7
	fair, unfair := simulate(t, seed, true), simulate(t, seed, false)
	for _, name := range []string{"a", "b", "c"} {
		if fair[name] < 0.9 {
			t.Errorf("%s got %.0f %% of its answers in time, want 90 %%", name, 100*fair[name])
		}
		if unfair[name] > 0.5 {
			t.Errorf("%s got %.0f %% without turns: the simulation does not overload the server", name, 100*unfair[name])
		}
	}
	if fair["hog"] < 0.08 { // its share of 250 per second is 10 % of what it sends
		t.Errorf("the fourth caller got %.1f %%, less than its share", 100*fair["hog"])
	}
}

// simulate returns the share of requests that were answered in time, by caller. The server
// has 16 places, and its own queue in order of arrival.
func simulate(t *testing.T, seed uint64, fair bool) map[string]float64 {
	type request struct {
		name string
		sent int // ms
		turn *turn
	}
	const slots, work, worth, length = 16, 16, 500, 20_000
	random := rand.New(rand.NewPCG(seed, seed))
	turns, now := clock(slots)
	begin := *now
	sent, inTime := map[string]int{}, map[string]int{}
	var waiting, queue []*request // for a turn; for a place
	ends := map[int][]*request{}
	free := slots
	for ms := range length {
		*now = begin.Add(time.Duration(ms) * time.Millisecond)
		for _, r := range ends[ms] {
			free++
			if fair {
				turns.Leave(r.name)
			}
			if ms-r.sent <= worth {
				inTime[r.name]++
			}
		}
		delete(ends, ms)
		for _, c := range []struct {
			name      string
			perSecond float64
		}{{"a", 250}, {"b", 250}, {"c", 250}, {"hog", 2500}} {
			for p := c.perSecond / 1000; p > 0; p-- {
				if random.Float64() >= p {
					continue
				}
				r := &request{name: c.name, sent: ms}
				sent[c.name]++
				if !fair {
					queue = append(queue, r)
				} else if w, err := turns.add(c.name); err == nil {
					r.turn = w
					waiting = append(waiting, r)
				}
			}
		}
		rest := waiting[:0]
		for _, r := range waiting {
			switch {
			case begun(r.turn) && r.turn != nil && r.turn.err != nil: // refused
			case begun(r.turn):
				queue = append(queue, r)
			case ms-r.sent > worth && turns.remove(r.name, r.turn):
			default:
				rest = append(rest, r)
			}
		}
		waiting = rest
		for free > 0 && len(queue) > 0 {
			r := queue[0]
			queue = queue[1:]
			free--
			ends[ms+work] = append(ends[ms+work], r)
		}
	}
	result := map[string]float64{}
	for name := range sent {
		result[name] = float64(inTime[name]) / float64(sent[name])
	}
	t.Logf("turns %v: %v", fair, result)
	return result
}
