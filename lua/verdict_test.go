package lua

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/store"
)

// An outcomeStore returns err for every write.
type outcomeStore struct{ err error }

func (s outcomeStore) PutObjects(context.Context, *matcher.ID, []*matcher.Object) (int, error) {
	return -1, s.err
}

func (s outcomeStore) DeleteObject(context.Context, *matcher.ID, matcher.Origin, matcher.ID) error {
	return s.err
}

func (s outcomeStore) Link(context.Context, *matcher.ID, matcher.ID, []matcher.ID, bool) error {
	return s.err
}
func (s outcomeStore) CreateList(context.Context, *matcher.List) error { return s.err }

func (s outcomeStore) PatchObject(context.Context, *matcher.ID, matcher.Origin, matcher.ID, func(*matcher.Object) error) error {
	return s.err
}

func (s outcomeStore) DeleteFound(context.Context, matcher.Origin, store.FindFunc) (int, error) {
	return 0, s.err
}

func (s outcomeStore) Owners() *matcher.Owners { return nil }

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
	var writer outcomeStore
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions = {"store"}`), d.services, func(o *Options) { o.Services.Store = &writer })
	in := h.current.Load().plugins[0].main.first()
	f := func(body string, want peer.VerdictKind, wait time.Duration, why string) {
		t.Helper()
		v := in.HandleMessage(in.handler(t, "function(m) "+body+" end"), "message")
		invalid := strings.Contains(why, "not a verdict") || strings.Contains(why, "allowed are") || strings.Contains(why, "not {retry")
		if raised := strings.Contains(body, "error(") || strings.Contains(body, "assert("); v.PluginFailed != (want == peer.Retry && (raised || invalid)) {
			t.Errorf("%s: PluginFailed is %v", body, v.PluginFailed)
		}
		if v.Kind != want || v.Wait != wait || (v.Err == nil) != (want == peer.Ack) || v.Err != nil && !strings.Contains(v.Err.Error(), why) {
			t.Errorf("%s: %+v, want %d %v %q", body, v, want, wait, why)
		}
	}
	f(`return true`, peer.Ack, 0, "")
	f(`return "ack"`, peer.Ack, 0, "")
	f(`return false`, peer.Retry, 0, "did not return")
	f(``, peer.Retry, 0, "did not return")
	f(`return nil, "no face"`, peer.Retry, 0, "no face")
	f(`return "retry"`, peer.Retry, 0, "did not return")
	f(`error("oh")`, peer.Retry, 0, "oh")
	f(`return "dead", "no JSON"`, peer.Dead, 0, "no JSON")
	f(`return {retry = 2.5}`, peer.Retry, 2500*time.Millisecond, "")
	f(`return {retry = 0}`, peer.Retry, time.Millisecond, "")
	f(`return {retry = -1}`, peer.Retry, 0, "not {retry = seconds}")
	f(`return {retry = 0/0}`, peer.Retry, 0, "not {retry = seconds}")
	f(`return "akc"`, peer.Retry, 0, `"akc"; allowed are "ack"`)
	f(`return 1`, peer.Retry, 0, `returned a number, which is not a verdict; allowed are "ack"`)
	f(`return {}`, peer.Retry, 0, "returned a table, which is not a verdict")
	f(`return ns.json.decode`, peer.Retry, 0, "returned a function, which is not a verdict")
	f(`return ns.json.null`, peer.Retry, 0, "returned a userdata, which is not a verdict")

	const put = `ns.store.new_list({})`
	for _, code := range []matcher.Code{matcher.CodeUnavailable, matcher.CodeFull} {
		writer.err = matcher.Errorf(code, "the disk is full")
		f(`assert(`+put+`)`, peer.Pause, 0, "the disk is full")
		f(`if not `+put+` then return false end`, peer.Pause, 0, "the disk is full")
		f(`local ok = `+put+` return ok and true or "retry"`, peer.Pause, 0, "the disk is full")
		f(`pcall(function() assert(`+put+`) end) return {retry = 5}`, peer.Pause, 0, "the disk is full")
		f(put+` return true`, peer.Ack, 0, "")
		f(put+` return "dead"`, peer.Dead, 0, `"dead"`)
	}
	writer.err = matcher.Errorf(matcher.CodeBadInput, "age: 300")
	f(`assert(`+put+`)`, peer.Retry, 0, "age: 300")
	writer.err = errors.New("broken")
	f(`assert(`+put+`)`, peer.Retry, 0, "broken")
	writer.err = nil
	f(`assert(`+put+`) error("later")`, peer.Retry, 0, "later")

	each := func(body string, want ...peer.VerdictKind) {
		t.Helper()
		got := in.HandleMessages(in.handler(t, "function(list) "+body+" end"), []any{"a", "b", "c"})
		for i, v := range got {
			if v.Kind != want[i] {
				t.Errorf("%s: message %d: %+v, want %d", body, i, v, want[i])
			}
		}
	}
	each(`return true`, peer.Ack, peer.Ack, peer.Ack)
	each(`return {true, false, "dead"}`, peer.Ack, peer.Retry, peer.Dead)
	each(`return {"ack", {retry = 1}, true}`, peer.Ack, peer.Retry, peer.Ack)
	each(`return {true, true}`, peer.Retry, peer.Retry, peer.Retry)
	each(`return {retry = 1}`, peer.Retry, peer.Retry, peer.Retry)
	each(`error("x")`, peer.Retry, peer.Retry, peer.Retry)
}

// TestDrainOrder: all registered functions are called at the same time. A function that is
// registered later is called at once.
func TestDrainOrder(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	in := h.current.Load().plugins[0].main.first()
	both := make(chan struct{})
	in.OnDrain(func(context.Context) { <-both })
	in.OnDrain(func(context.Context) { close(both) })
	in.OnDrain(func(context.Context) { t.Error("it was forgotten") })()
	in.Drain(t.Context())
	called := false
	in.OnDrain(func(context.Context) { called = true })
	if !called {
		t.Error("not called after the drain has begun")
	}
}

// A switchedStore is a store that can be made to refuse writes.
type switchedStore struct {
	ns.ObjectWriter
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
	return s.ObjectWriter.CreateList(ctx, l)
}

func (s *switchedStore) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (int, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return -1, err
	}
	return s.ObjectWriter.PutObjects(ctx, account, objects)
}
