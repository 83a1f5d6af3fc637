package vm

import (
	"context"
	"strings"
	"testing"

	glua "github.com/yuin/gopher-lua"
)

// brokenScript returns a script with a function that returns a register without a
// value. A fault of the compiler could have the same effect.
func brokenScript(t *testing.T) *Script {
	t.Helper()
	script, err := Compile("t.lua", "return function() local a, b return b end", "test")
	if err != nil {
		t.Fatal(err)
	}
	body := script.proto.FunctionPrototypes[0]
	body.Code[0] = uint32(glua.OP_LOADBOOL)<<26 | 150<<18 // the registers below it stay empty
	body.Code[1] = uint32(glua.OP_RETURN)<<26 | 100<<18 | 3
	return script
}

// TestPanicsEndOneCall checks that a panic of the interpreter, or of converting the
// results, ends only the call. The state is still usable.
func TestPanicsEndOneCall(t *testing.T) {
	s := newState(t)
	_, v, err := s.Load(context.Background(), Limits{}, brokenScript(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Call(context.Background(), Limits{}, v.(*Func)); err == nil {
		t.Error("a call returned a register without a value, want an error")
	}
	err = s.CallLate(context.Background(), Limits{}, v.(*Func), func() []any { panic("late") })
	if err == nil || !strings.Contains(err.Error(), "late") {
		t.Errorf("arguments that panic: %v", err)
	}
	done := make(chan error, 1)
	if _, err = s.Spawn(Limits{}, v.(*Func), nil, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err = <-done; err == nil {
		t.Error("a task returned a register without a value, want an error")
	}
	for _, body := range []string{
		`local ok = pcall(f) return 1`, `pcall(ns.call, f) return 1`, `coroutine.resume(coroutine.create(f)) return 1`,
		`pcall(string.gsub, "a", "a", f) pcall(ns.echo, f()) return 1`, `local t = {f()} pcall(tostring, t[1]) return 1`,
	} {
		fn := loadFunction(t, s, "local ns = require('test') return function(f) "+body+" end")
		if got, err := s.Call(context.Background(), generous, fn, v); err != nil || got[0] != 1.0 {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
	if got, err := s.Call(context.Background(), generous, loadFunction(t, s, "return function() return 7 end")); err != nil || got[0] != 7.0 {
		t.Errorf("the state after panics: %v, %v", got, err)
	}
}
