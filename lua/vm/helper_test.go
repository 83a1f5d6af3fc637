package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLibrary returns a library for tests. Its functions wait, call a function,
// panic, or return their argument.
func testLibrary() *Library {
	return NewLibrary("test", Module{
		Functions: []Function{
			{Name: "sleep", Params: []string{"seconds: number"}, Waits: true, Run: func(c *Call) error {
				d := time.Duration(c.Number(1) * float64(time.Second))
				return c.Wait(func(ctx context.Context) error {
					select {
					case <-time.After(d):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
			}},
			{Name: "call", Run: func(c *Call) error {
				results, err := c.Invoke(c.Func(1), c.Value(2))
				if err != nil {
					return err
				}
				return c.Return(results...)
			}},
			{Name: "panic", Run: func(*Call) error { panic("boom") }},
			{Name: "waitpanic", Waits: true, Run: func(c *Call) error {
				return c.Wait(func(context.Context) error { panic("boom") })
			}},
			{Name: "echo", Run: func(c *Call) error { return c.Return(c.Value(1)) }},
		},
	}, Module{
		Name: "sub", Functions: []Function{{Name: "one", Run: func(c *Call) error { return c.Return(1) }}},
		Values: []Value{{Name: "owner", Get: func(c *Call) any { return c.Owner() }}},
	})
}

var library = testLibrary()

// newState returns a state of library that is closed at the end of the test.
func newState(t testing.TB) *State {
	t.Helper()
	s := library.NewState(context.Background(), StateOptions{Owner: "me"})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// loadFunction runs a chunk that returns a function, and returns that function.
func loadFunction(t testing.TB, s *State, source string) *Func {
	t.Helper()
	script, err := Compile("t.lua", source, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := s.Load(context.Background(), Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	fn, ok := v.(*Func)
	if !ok {
		t.Fatalf("the chunk returned %T, want a function", v)
	}
	return fn
}

// runBody runs body as a function in a new state.
func runBody(t testing.TB, body string, args ...any) ([]any, error) {
	t.Helper()
	return runBodyFor(t, 20*time.Second, body, args...) // only an endless loop takes so long
}

// runBodyFor is runBody with a budget for the slice.
func runBodyFor(t testing.TB, slice time.Duration, body string, args ...any) ([]any, error) {
	t.Helper()
	s := newState(t)
	return s.Call(context.Background(), Limits{Slice: slice}, loadFunction(t, s, "local ns = require('test')\nreturn function(...) "+body+"\nend"), args...)
}

// evalBody is runBody for a body that must succeed. It returns the first result, or
// nil if there is none.
func evalBody(t testing.TB, body string, args ...any) any {
	t.Helper()
	results, err := runBody(t, body, args...)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(results) == 0 {
		return nil
	}
	return results[0]
}

// wantKilled runs body and checks that its slice or its allocation limit ends it.
func wantKilled(t testing.TB, body string) {
	t.Helper()
	if _, err := runBodyFor(t, DefaultSlice, body); !errors.Is(err, ErrSlice) && !errors.Is(err, ErrAllocation) {
		t.Errorf("%s: error %v, want %v", body, err, ErrSlice)
	}
}

// wantError runs body and checks that it fails with an error that contains want.
func wantError(t testing.TB, body, want string) {
	t.Helper()
	_, err := runBody(t, body)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", body, err, want)
	}
}
