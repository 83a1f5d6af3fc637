package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
)

// neverSlow is for claims whose clients must never count as slow.
func neverSlow() { panic("unexpected call of onSlow") }

// TestBudgetProgress checks that requests which reserve different amounts step by
// step all finish, and never hold more than the budget.
func TestBudgetProgress(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			size, reserve := 1+rng.Int64N(100), 1+rng.Int64N(100)
			b := newBudget("things", size, reserve)
			var done sync.WaitGroup
			for range 40 {
				need := 1 + rng.Int64N(reserve)
				step := 1 + rng.Int64N(need)
				work := time.Duration(rng.Int64N(1e6))
				done.Go(func() {
					c := b.newClaim(neverSlow)
					for c.held < need {
						if err := c.grow(t.Context(), min(step, need-c.held)); err != nil {
							t.Errorf("seed %d: %v", seed, err)
							return
						}
						b.mu.Lock()
						if b.used > size || b.favored != nil && b.favored.held > reserve {
							t.Errorf("seed %d: %d of %d are in use", seed, b.used, size)
						}
						b.mu.Unlock()
						time.Sleep(work)
					}
					c.shrink(need / 2)
					time.Sleep(work)
					c.shrink(0)
				})
			}
			done.Wait() // a deadlock fails the test
			if b.used != 0 || b.favored != nil || len(b.holders) != 0 || b.waiting.Len() != 0 {
				t.Errorf("seed %d: %d bytes are left", seed, b.used)
			}
		})
	}
}

// TestBudgetPause checks that the time of a client counts without the time in which the
// server does not wait for it, and goes on after that.
func TestBudgetPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget("things", 10, 10)
		slow := make(chan struct{}, 100)
		c, favored := b.newClaim(func() { slow <- struct{}{} }), b.newClaim(neverSlow)
		for _, c := range []*claim{c, favored} {
			if err := c.grow(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
		}
		favored.suspend()
		ended := make(chan error, 1)
		go func() { ended <- b.newClaim(neverSlow).grow(t.Context(), 10) }()
		const half = slowAfter / 2
		for range 3 {
			c.pause()
			time.Sleep(10 * slowAfter)
			c.proceed()
			c.proceed() // does nothing
		}
		time.Sleep(half)
		c.pause()
		time.Sleep(10 * slowAfter)
		c.proceed()
		time.Sleep(half - time.Second)
		if len(slow) > 0 {
			t.Error("a pause counted")
		}
		time.Sleep(2 * time.Second)
		if len(slow) == 0 {
			t.Error("the time before the last pause did not count")
		}
		c.shrink(0)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestBudgetOrder checks that waiters get room in order of arrival, and that a waiter
// that gives up lets the next ones proceed.
func TestBudgetOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget("things", 10, 10)
		all, favored := b.newClaim(neverSlow), b.newClaim(neverSlow)
		all.suspend()
		for _, c := range []*claim{all, favored} {
			if err := c.grow(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			c.suspend()
		}
		var order []string
		var mu sync.Mutex
		wait := func(name string, bytes int64, patience time.Duration) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err := b.newClaim(neverSlow).grow(ctx, bytes)
				mu.Lock()
				defer mu.Unlock()
				if e, ok := errors.AsType[*matcher.Error](err); ok && e.Code == matcher.CodeUnavailable {
					name += " gave up"
				} else if err != nil {
					t.Error(err)
				}
				order = append(order, name)
			}()
			synctest.Wait()
		}
		wait("large", 9, time.Second)
		wait("first", 4, time.Minute)
		wait("second", 4, time.Minute)
		wait("third", 2, time.Minute)
		wait("fourth", 2, time.Minute)
		time.Sleep(2 * time.Second)
		all.shrink(0)
		synctest.Wait()
		slices.Sort(order[1:]) // these got room at the same time, so their order here is random
		if got := fmt.Sprint(order); got != "[large gave up first second third]" {
			t.Error(got)
		}
		favored.shrink(0)
		synctest.Wait()
		if order[len(order)-1] != "fourth" {
			t.Error(order)
		}
	})
}

// TestBudgetSlow checks that a client is slow if it sends less than slowBytes in
// slowAfter while others wait. It is not slow if no claim waits, if the server does
// not wait for the client, or if the client is fast enough.
func TestBudgetSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget("things", 400, 100)
		var mu sync.Mutex
		slow := map[string]time.Duration{} // when onSlow was called
		slowAt := func(name string) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slow[name]
		}
		start := time.Now()
		hold := func(name string) *claim {
			c := b.newClaim(func() {
				mu.Lock()
				defer mu.Unlock()
				slow[name] = time.Since(start)
			})
			if err := c.grow(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
			return c
		}
		silent, trickling, steady, busy, favored := hold("silent"), hold("trickling"), hold("steady"), hold("busy"), hold("favored")
		busy.suspend()
		favored.suspend()
		go func() {
			for range 100 {
				time.Sleep(time.Second)
				if slowAt("trickling") == 0 {
					trickling.progress(slowBytes/10 - 10)
				} else {
					trickling.shrink(0) // as a request does when onSlow is called
				}
				steady.progress(slowBytes/10 + 200)
			}
		}()
		time.Sleep(30 * time.Second)
		if at := slowAt("silent"); at != 0 {
			t.Errorf("no claim waits, but the silent client was slow at %v", at)
		}
		waiting := b.newClaim(neverSlow)
		served := make(chan struct{})
		go func() {
			defer close(served)
			if err := waiting.grow(t.Context(), 100); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if at := slowAt("silent"); at != 30*time.Second {
			t.Errorf("the silent client was slow at %v, want 30s", at)
		}
		silent.shrink(0)
		synctest.Wait()
		select {
		case <-served:
		default:
			t.Error("room was given back, but the waiting claim did not get it")
		}
		waiting.suspend()
		go func() {
			if err := b.newClaim(neverSlow).grow(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(11 * time.Second)
		if slowAt("trickling") == 0 || slowAt("steady")+slowAt("busy")+slowAt("favored") != 0 {
			t.Errorf("slow clients: %v, want only the trickling client besides the silent one", slow)
		}
		time.Sleep(100 * time.Second)
	})
}
