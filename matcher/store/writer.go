package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// Bounds of a commit. A group takes no more transactions once it has
// groupBytes, so it is larger by one transaction at most. groupTx bounds what
// asking the applier about the whole group again for each of them costs.
const (
	groupBytes = 16 << 20
	groupTx    = 128
	txBytesMax = 1 << 30
)

// request is a transaction on its way through the writer.
type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	alone bool
	taken atomic.Bool // by the writer, or by a caller that waits no longer
	err   error       // set before done is closed
	done  chan struct{}
}

// Commit runs fn on the writer goroutine and makes what it did durable, all of
// it or nothing: on nil it is on disk and applied. Several transactions share
// one sync. fn sees the committed state and what earlier transactions of its
// group did; it must not block, keep the Tx or call Commit. When ctx ends
// before fn begins, fn does not run; afterwards Commit waits for the outcome.
// An error of fn is returned as it is. CodeFull: no disk space or memory;
// CodeUnavailable: closed, or poisoned, and then the outcome is unknown until
// the store is opened again.
func (s *Store) Commit(ctx context.Context, fn func(tx *Tx) error) error {
	return s.submit(&request{ctx: ctx, fn: fn, done: make(chan struct{})})
}

// CommitAlone is Commit in a group of its own: while fn runs, the applier's
// state is the committed state.
func (s *Store) CommitAlone(ctx context.Context, fn func(tx *Tx) error) error {
	return s.submit(&request{ctx: ctx, fn: fn, alone: true, done: make(chan struct{})})
}

func (s *Store) submit(r *request) error {
	if err := s.enqueue(r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-r.ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return contextError(r.ctx)
		}
	case <-s.poison.done:
		if r.taken.CompareAndSwap(false, true) {
			return s.poison.err
		}
	}
	select {
	case <-r.done:
		return r.err
	case <-s.poison.done:
		select {
		case <-r.done: // it was answered before
			return r.err
		default:
		}
		code := matcher.CodeOf(s.poison.err)
		return matcher.Errorf(code, "this write may be lost or not: %w", s.poison.err)
	}
}

func (s *Store) enqueue(r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.poison.get(); err != nil {
		return err
	}
	if r.ctx.Err() != nil {
		return contextError(r.ctx)
	}
	select {
	case s.queue <- r:
		return nil
	case <-r.ctx.Done():
		return contextError(r.ctx)
	case <-s.poison.done:
		return s.poison.err
	}
}

func contextError(ctx context.Context) error {
	return matcher.Errorf(matcher.CodeDeadline, "the request ended before its write began: %w", ctx.Err())
}

// write is the writer goroutine. It ends when the queue is closed and empty,
// or the store is poisoned.
func (s *Store) write() {
	ended := false
	defer func() {
		if r := recover(); r != nil {
			s.poison.fail(fmt.Errorf("the writer panicked: %v\n%s", r, debug.Stack()))
		} else if !ended {
			s.poison.fail(errors.New("the writer was ended from within a transaction"))
		}
		close(s.written)
	}()
	var next *request
	for s.poison.get() == nil {
		r := next
		if r == nil {
			if r = <-s.queue; r == nil {
				break // closed and empty
			}
		}
		next = s.group(r)
	}
	ended = true
}

// group commits r and what else is waiting. It returns a request that was
// taken from the queue, but must be first in the next group.
func (s *Store) group(first *request) (next *request) {
	g := &group{store: s}
	for r := first; r != nil; {
		if r.alone && r != first {
			next = r
			break
		}
		if r.taken.CompareAndSwap(false, true) {
			g.add(r)
		}
		if r.alone || g.bytes >= groupBytes || len(g.answers) == groupTx {
			break
		}
		select {
		case r = <-s.queue:
		default:
			r = nil
		}
	}
	g.commit()
	return next
}

// group is what one sync makes durable.
type group struct {
	store    *Store
	room     room
	measured bool
	ops      []op           // in their order
	bytes    int            // size of ops in a batch, about
	overlay  map[key][]byte // what they write; nil: deleted
	delta    digest
	changes  []Change
	undo     []undo
	answers  []*request
}

// add runs r and takes its writes into the group, or only its error.
func (g *group) add(r *request) {
	g.answers = append(g.answers, r)
	tx := &Tx{store: g.store, group: g}
	if r.err = tx.run(r.fn); r.err == nil {
		r.err = g.take(tx)
	}
	if r.err != nil {
		g.store.rollback(tx.undo)
	}
}

// take admits tx and makes its writes part of the group.
func (g *group) take(tx *Tx) error {
	if len(tx.ops) == 0 {
		return nil
	}
	if tx.bytes > txBytesMax {
		return matcher.Errorf(matcher.CodeTooLarge, "the write has %d bytes, more than the %d that can be done at once", tx.bytes, txBytesMax)
	}
	if !g.measured {
		var err error
		if g.room, err = g.store.measure(); err != nil {
			return err
		}
		g.measured = true
	}
	bytes := tx.bytes + len(tx.changes)*len(key{}) // of the journal's entry
	if err := g.room.admit(g.bytes+bytes, tx.grows); err != nil {
		return err
	}
	before := len(g.changes)
	g.changes = append(g.changes, tx.changes...)
	if err := g.store.opts.Applier.Admit(g.changes); err != nil {
		g.changes = g.changes[:before]
		return err
	}
	g.delta.join(tx.delta)
	g.bytes += bytes
	g.undo = append(g.undo, tx.undo...)
	if g.ops == nil { // mostly: what is large need not be copied
		g.ops, g.overlay = tx.ops, tx.local
		return nil
	}
	g.ops = append(g.ops, tx.ops...)
	maps.Copy(g.overlay, tx.local)
	return nil
}

// commit makes the group durable, applies it and answers. Those who got an
// error are answered last too: it may come from what the group wrote.
func (g *group) commit() {
	s := g.store
	if len(g.ops) > 0 {
		next := s.state
		next.commits++
		next.digest.join(g.delta)
		g.ops = append(g.ops, op{metaState, next.append(nil)})
		if s.sealer != nil {
			g.ops = append(g.ops, op{journalKey(next.commits), appendJournal(nil, g.delta, g.changes)})
		}
		if err := g.write(); s.poison.get() != nil {
			return // submit answers
		} else if err != nil {
			g.refuse(err)
		} else {
			s.state = next
			if _, err := s.committed.WriteAt([]byte(committedText(next.commits)), 0); err != nil {
				s.opts.Warn("store: cannot note the number of the last commit; a log cut short would not be noticed", "error", err)
			}
			s.apply(g.changes)
			s.sealer.note(len(g.changes))
		}
	}
	for _, r := range g.answers {
		close(r.done)
	}
}

// write makes ops durable, all or none. It returns an error when there are
// none, and poisons when it is not known.
func (g *group) write() error {
	if g.bytes >= g.store.opts.tableBytes {
		return g.store.ingest(g.ops)
	}
	b := g.store.db.NewBatch()
	for i := range g.ops {
		if op := &g.ops[i]; op.rec == nil {
			_ = b.Delete(op.key[:], nil) // a batch without an index does not fail
		} else {
			_ = b.Set(op.key[:], op.rec, nil)
		}
	}
	if err := g.store.db.Apply(b, pebble.Sync); err != nil {
		g.store.poison.fail(fmt.Errorf("commit: %w", err))
		return err
	}
	_ = b.Close() // gives its memory back; it does not fail
	return nil
}

// refuse undoes the group and gives all of it err.
func (g *group) refuse(err error) {
	g.store.rollback(g.undo)
	for _, r := range g.answers {
		r.err = err
	}
}

func (s *Store) apply(changes []Change) {
	s.opts.Applier.Apply(changes)
	if s.opts.Observer == nil {
		return
	}
	for i := range changes {
		if changes[i].Kind == PutObject {
			s.opts.Observer.Stored(changes[i].Object)
		}
	}
}
