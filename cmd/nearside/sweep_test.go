package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/simd"
)

// newSweeper returns a sweeper of an empty store.
func newSweeper(t *testing.T, out io.Writer) *sweeper {
	t.Helper()
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := simd.Select("auto")
	if err != nil {
		t.Fatal(err)
	}
	m, err := memory.New(memory.Options{Registry: registry, Kernel: kernel, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Applier: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	sw := &sweeper{store: s, memory: m, log: slog.New(slog.NewTextHandler(out, nil))}
	sw.retention.Store(&retention{})
	return sw
}

func (s *sweeper) putObject(t *testing.T, o matcher.Object) {
	t.Helper()
	d := matcher.Descriptor{Version: 59, Data: make([]byte, 512)}
	o.Descriptors[matcher.FaceDescriptor] = d
	if _, err := s.store.PutObject(t.Context(), nil, &o); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	s := newSweeper(t, io.Discard)
	now := time.Now()
	at := func(d time.Duration) matcher.Time { return matcher.TimeOf(now.Add(d)) }
	day := 24 * time.Hour
	for i, age := range []time.Duration{0, -day, -30*day + time.Second, -30*day - time.Second, -400 * day} {
		s.putObject(t, matcher.Object{Origin: matcher.Events, ID: matcher.ID{byte(i + 1)}, CreateTime: at(age)})
		s.putObject(t, matcher.Object{Origin: matcher.Faces, ID: matcher.ID{byte(i + 1)}, CreateTime: at(age)})
	}
	s.putObject(t, matcher.Object{Origin: matcher.Attributes, ID: matcher.ID{1}, CreateTime: at(-400 * day), Expires: at(time.Hour)})
	s.putObject(t, matcher.Object{Origin: matcher.Attributes, ID: matcher.ID{2}, Expires: at(-time.Hour)})
	s.putObject(t, matcher.Object{Origin: matcher.Attributes, ID: matcher.ID{3}})
	rows := func(want ...int) {
		t.Helper()
		got := s.memory.Stats().Rows
		for o, n := range want {
			if got[o] != n {
				t.Errorf("%d %s, want %d", got[o], matcher.Origin(o), n)
			}
		}
	}
	sweep := func() {
		t.Helper()
		if err := errors.Join(s.deleteExpired(t.Context()), s.deleteOutdated(t.Context(), now)); err != nil {
			t.Fatal(err)
		}
	}
	rows(5, 5, 3)
	sweep() // without a retention
	rows(5, 5, 2)
	s.retention.Store(&retention{events: 30 * day})
	sweep()
	rows(5, 3, 2)
	sweep()
	rows(5, 3, 2)
	s.retention.Store(&retention{faces: 31 * day})
	sweep()
	rows(4, 3, 2)
}

// TestListRetention: an old face leaves the list, and is deleted if it is in no other.
func TestListRetention(t *testing.T) {
	s := newSweeper(t, io.Discard)
	now := time.Now()
	visitors, staff := matcher.ID{1}, matcher.ID{2}
	for _, id := range []matcher.ID{visitors, staff} {
		if err := s.store.CreateList(t.Context(), &matcher.List{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(n byte, age time.Duration, lists ...matcher.ID) {
		t.Helper()
		s.putObject(t, matcher.Object{Origin: matcher.Faces, ID: matcher.ID{n}, CreateTime: matcher.TimeOf(now.Add(-age)), Lists: lists})
	}
	const hour = time.Hour
	put(1, 2*hour, visitors)
	put(2, 2*hour, visitors, staff)
	put(3, 0, visitors)
	put(4, 2*hour, staff)
	put(5, 2*hour)
	s.retention.Store(&retention{lists: map[matcher.ID]time.Duration{visitors: hour, staff: 0, {3}: hour}})
	for range 2 {
		if err := s.deleteOutdated(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		for list, want := range map[matcher.ID]int{visitors: 1, staff: 2} {
			if _, faces, _ := s.memory.List(t.Context(), list, nil); faces != want {
				t.Errorf("list %s has %d faces, want %d", list, faces, want)
			}
		}
		if got := s.memory.Stats().Rows[matcher.Faces]; got != 4 {
			t.Errorf("%d faces, want 4", got)
		}
	}
}

// TestSweepEnds: sweepUntilDone ends with its context, and logs a failure once.
func TestSweepEnds(t *testing.T) {
	var log strings.Builder
	s := newSweeper(t, &log)
	s.retention.Store(&retention{events: time.Hour})
	s.putObject(t, matcher.Object{Origin: matcher.Events, ID: matcher.ID{1}, CreateTime: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.sweepUntilDone(ctx)
	if log.Len() > 0 {
		t.Error(log.String())
	}
	failed := errors.New("no space")
	for range 3 {
		s.logFailure(t.Context(), failed)
	}
	s.logFailure(t.Context(), nil)
	s.logFailure(t.Context(), failed)
	if n := strings.Count(log.String(), "no space"); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
