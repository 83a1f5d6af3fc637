package lua

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// fullStore refuses every write with an error of its own.
type fullStore struct{ err error }

func (s fullStore) PutObjects(context.Context, *matcher.ID, []*matcher.Object) (int, error) {
	return -1, s.err
}

func (s fullStore) DeleteObject(context.Context, *matcher.ID, matcher.Origin, matcher.ID) error {
	return s.err
}

func (s fullStore) Link(context.Context, *matcher.ID, matcher.ID, []matcher.ID, bool) error {
	return s.err
}
func (s fullStore) CreateList(context.Context, *matcher.List) error { return s.err }

// handler compiles a Lua function in an instance.
func (in *instance) handler(t *testing.T, source string) *vm.Func {
	t.Helper()
	v, err := in.run(t, "return "+source)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*vm.Func)
}

func TestVerdicts(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	var writer fullStore
	h, _ := start(t, background(`M.permissions = {"store"}`), d.services, func(o *Options) { o.Services.Store = &writer })
	in := h.current.Load().plugins[0].main.first()
	f := func(body string, want verdictKind, wait time.Duration, why string) {
		t.Helper()
		v := in.judge(in.handler(t, "function(m) "+body+" end"), "message")
		if v.kind != want || v.wait != wait || (v.err == nil) != (want == verdictAck) || v.err != nil && !strings.Contains(v.err.Error(), why) {
			t.Errorf("%s: %+v, want %d %v %q", body, v, want, wait, why)
		}
	}
	f(`return true`, verdictAck, 0, "")
	f(`return "ack"`, verdictAck, 0, "")
	f(`return false`, verdictRetry, 0, "did not return")
	f(``, verdictRetry, 0, "did not return")
	f(`return nil, "no face"`, verdictRetry, 0, "no face")
	f(`return "retry"`, verdictRetry, 0, "did not return")
	f(`error("oh")`, verdictRetry, 0, "oh")
	f(`return "dead", "no JSON"`, verdictDead, 0, "no JSON")
	f(`return {retry = 2.5}`, verdictRetry, 2500*time.Millisecond, "")
	f(`return {retry = 0}`, verdictRetry, time.Millisecond, "")
	f(`return {retry = -1}`, verdictRetry, 0, "not {retry = seconds}")
	f(`return {retry = 0/0}`, verdictRetry, 0, "not {retry = seconds}")
	f(`return "akc"`, verdictRetry, 0, `"akc"; allowed are "ack"`)
	f(`return 1`, verdictRetry, 0, "not a verdict")
	f(`return ns.json.decode`, verdictRetry, 0, "not a verdict")

	const put = `ns.store.new_list({})`
	for _, code := range []matcher.Code{matcher.CodeUnavailable, matcher.CodeFull} {
		writer.err = matcher.Errorf(code, "the disk is full")
		f(`assert(`+put+`)`, verdictPause, 0, "the disk is full")
		f(`if not `+put+` then return false end`, verdictPause, 0, "the disk is full")
		f(`local ok = `+put+` return ok and true or "retry"`, verdictPause, 0, "the disk is full")
		f(`pcall(function() assert(`+put+`) end) return {retry = 5}`, verdictPause, 0, "the disk is full")
		f(put+` return true`, verdictAck, 0, "")
		f(put+` return "dead"`, verdictDead, 0, `"dead"`)
	}
	writer.err = matcher.Errorf(matcher.CodeBadInput, "age: 300")
	f(`assert(`+put+`)`, verdictRetry, 0, "age: 300")
	writer.err = errors.New("broken")
	f(`assert(`+put+`)`, verdictRetry, 0, "broken")
	writer.err = nil
	f(`assert(`+put+`) error("later")`, verdictRetry, 0, "later")

	each := func(body string, want ...verdictKind) {
		t.Helper()
		got := in.judgeAll(in.handler(t, "function(list) "+body+" end"), []any{"a", "b", "c"})
		for i, v := range got {
			if v.kind != want[i] {
				t.Errorf("%s: message %d: %+v, want %d", body, i, v, want[i])
			}
		}
	}
	each(`return true`, verdictAck, verdictAck, verdictAck)
	each(`return {true, false, "dead"}`, verdictAck, verdictRetry, verdictDead)
	each(`return {"ack", {retry = 1}, true}`, verdictAck, verdictRetry, verdictAck)
	each(`return {true, true}`, verdictRetry, verdictRetry, verdictRetry)
	each(`return {retry = 1}`, verdictRetry, verdictRetry, verdictRetry)
	each(`error("x")`, verdictRetry, verdictRetry, verdictRetry)
}

func TestRetryWaits(t *testing.T) {
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}
	for i, w := range want {
		if got := retryWait(i + 1); got != w*time.Second {
			t.Errorf("attempt %d waits %v, want %vs", i+1, got, int(w))
		}
	}
	if got := retryWait(1 << 40); got != maxRetry {
		t.Error(got)
	}
}

// TestDrainOrder: everything that was registered is stopped at the same time,
// and what is registered later at once.
func TestDrainOrder(t *testing.T) {
	h, _ := start(t, background(""))
	in := h.current.Load().plugins[0].main.first()
	both := make(chan struct{})
	in.onDrain(func(context.Context) { <-both })
	in.onDrain(func(context.Context) { close(both) })
	in.onDrain(func(context.Context) { t.Error("it was forgotten") })()
	in.drain(t.Context())
	called := false
	in.onDrain(func(context.Context) { called = true })
	if !called {
		t.Error("not called after the drain has begun")
	}
}

// A switchedStore is a store that can be made to refuse writes.
type switchedStore struct {
	Writer
	mu  sync.Mutex
	err error
}

func (s *switchedStore) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switchedStore) CreateList(ctx context.Context, l *matcher.List) error {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Writer.CreateList(ctx, l)
}

func (s *switchedStore) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (int, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return -1, err
	}
	return s.Writer.PutObjects(ctx, account, objects)
}
