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

// sleeper is a library with a function that waits and one that calls back.
func sleeper() *Library {
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

var library = sleeper()

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

// load runs a chunk that returns a function, and returns it.
func load(t testing.TB, s *State, source string) *Func {
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

// run calls the body as a function of a new state.
func run(t testing.TB, body string, args ...any) ([]any, error) {
	t.Helper()
	return runFor(t, 20*time.Second, body, args...) // which nothing but an endless loop needs
}

// runFor is run with a slice.
func runFor(t testing.TB, slice time.Duration, body string, args ...any) ([]any, error) {
	t.Helper()
	s := newState(t)
	return s.Call(context.Background(), Limits{Slice: slice}, load(t, s, "local ns = require('test')\nreturn function(...) "+body+"\nend"), args...)
}

// eval is run for what must succeed with one result.
func eval(t testing.TB, body string, args ...any) any {
	t.Helper()
	results, err := run(t, body, args...)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(results) == 0 {
		return nil
	}
	return results[0]
}

// endless runs the body and wants its slice to end it.
func endless(t testing.TB, body string) {
	t.Helper()
	if _, err := runFor(t, DefaultSlice, body); !errors.Is(err, ErrSlice) && !errors.Is(err, ErrAllocation) {
		t.Errorf("%s: error %v, want %v", body, err, ErrSlice)
	}
}

// fails runs the body and wants an error that contains want.
func fails(t testing.TB, body, want string) {
	t.Helper()
	_, err := run(t, body)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", body, err, want)
	}
}
