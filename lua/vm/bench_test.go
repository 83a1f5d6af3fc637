package vm

import (
	"context"
	"testing"

	glua "github.com/yuin/gopher-lua"
)

// BenchmarkCall measures one call from Go with its lock, thread and budget.
func BenchmarkCall(b *testing.B) {
	s := newState(b)
	fn := loadFunction(b, s, `return function(a) return a end`)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Call(ctx, Limits{}, fn, 1.0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpawn measures one call in a new task.
func BenchmarkSpawn(b *testing.B) {
	s := newState(b)
	fn := loadFunction(b, s, `return function(a) return a end`)
	done := make(chan error)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Spawn(Limits{}, fn, nil, func(err error) { done <- err }); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}

func BenchmarkNewState(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := library.NewState(context.Background(), StateOptions{})
		s.cancel()
		s.main.Close()
	}
}

func BenchmarkNewThread(b *testing.B) {
	s := newState(b)
	b.ReportAllocs()
	for b.Loop() {
		s.main.NewThread()
	}
}

// BenchmarkLoop measures a loop with 1000 iterations, without and with a budget.
func BenchmarkLoop(b *testing.B) {
	const source = `return function() local n = 0 for i = 1, 1000 do n = n + i % 7 end return n end`
	b.Run("bare", func(b *testing.B) {
		s := newState(b)
		fn := loadFunction(b, s, source)
		l, _ := s.main.NewThread()
		for b.Loop() {
			if err := l.CallByParam(glua.P{Fn: fn.value, NRet: 1, Protect: true}); err != nil {
				b.Fatal(err)
			}
			l.SetTop(0)
		}
	})
	b.Run("budget", func(b *testing.B) {
		s := newState(b)
		fn := loadFunction(b, s, source)
		for b.Loop() {
			if _, err := s.Call(context.Background(), Limits{}, fn); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConcat joins three short strings, as scripts often do.
func BenchmarkConcat(b *testing.B) {
	s := newState(b)
	fn := loadFunction(b, s, `return function() local a = "x" for i = 1, 1000 do local b = a .. ":" .. a end end`)
	for b.Loop() {
		if _, err := s.Call(context.Background(), Limits{}, fn); err != nil {
			b.Fatal(err)
		}
	}
}
