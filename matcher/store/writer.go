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

// Limits of a commit. A group that has reached groupBytes takes no further
// transaction, so it exceeds groupBytes by at most one transaction. groupTx limits
// the cost of Applier.Admit, which checks the whole group again for each
// transaction.
const (
	groupBytes = 16 << 20
	groupTx    = 128
	txBytesMax = 1 << 30
)

// request is a transaction that waits for the writer or is run by it.
type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	alone bool        // commit in a separate group
	taken atomic.Bool // set by the writer, or by a caller that stops waiting
	err   error       // set before done is closed
	done  chan struct{}
}

// Commit runs fn on the writer goroutine and makes its writes durable, all or
// none. When Commit returns nil, the writes are on disk and applied. Several
// transactions share one sync. fn sees the committed state and the writes of
// earlier transactions of its group. It must not block, keep the Tx or call
// Commit.
//
// If ctx ends before fn starts, fn does not run. If ctx ends later, Commit still
// waits for the result. Commit returns an error of fn unchanged. CodeFull means
// that there is too little disk space or memory. CodeUnavailable means that the
// store is closed, damaged or poisoned; if it is poisoned, whether the write is stored is
// unknown until the store is opened again.
func (s *Store) Commit(ctx context.Context, fn func(tx *Tx) error) error {
	return s.submit(&request{ctx: ctx, fn: fn, done: make(chan struct{})})
}

// CommitAlone does the same as Commit in a separate group. So the applier has
// exactly the committed state while fn runs.
func (s *Store) CommitAlone(ctx context.Context, fn func(tx *Tx) error) error {
	return s.submit(&request{ctx: ctx, fn: fn, alone: true, done: make(chan struct{})})
}

// submit sends r to the writer and waits for its result.
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
		case <-r.done: // the writer answered before the store was poisoned
			return r.err
		default:
		}
		code := matcher.CodeOf(s.poison.err)
		return matcher.Errorf(code, "it is unknown whether this write is stored: %w", s.poison.err)
	}
}

// enqueue puts r into the queue of the writer. It waits while the queue is full.
func (s *Store) enqueue(r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.Err(); err != nil {
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
	return matcher.Errorf(matcher.CodeDeadline, "the request ended before its write started: %w", ctx.Err())
}

// runWriter is the writer goroutine. It ends when the queue is closed and empty,
// or when the store is poisoned.
func (s *Store) runWriter() {
	ended := false
	defer func() {
		if r := recover(); r != nil {
			s.poison.fail(fmt.Errorf("the writer panicked: %v\n%s", r, debug.Stack()))
		} else if !ended {
			s.poison.fail(errors.New("the writer was ended from within a transaction"))
		}
		close(s.writerEnded)
	}()
	var next *request
	for s.poison.fault() == nil {
		r := next
		if r == nil {
			if r = <-s.queue; r == nil {
				break // closed and empty
			}
		}
		next = s.commitNext(r)
	}
	ended = true
}

// commitNext commits a group: first and other requests from the queue. If it took
// a request from the queue that must be the first of the next group, it returns
// that request.
func (s *Store) commitNext(first *request) (next *request) {
	g := &group{store: s}
	for r := first; r != nil; {
		if r.alone && r != first {
			next = r
			break
		}
		if r.taken.CompareAndSwap(false, true) {
			g.runRequest(r)
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

// group holds the transactions that one sync makes durable.
type group struct {
	store    *Store
	space    diskSpace
	measured bool           // space is set
	ops      []op           // in the order of execution
	bytes    int            // approximate size of ops in a batch
	garbage  int64          // bytes of records that ops delete or replace
	overlay  map[key][]byte // records that ops write; nil: deleted
	delta    digest
	changes  []Change
	undo     []undo
	answers  []*request // all requests, including failed ones
}

// runRequest runs r and adds its writes to the group, unless it fails.
func (g *group) runRequest(r *request) {
	g.answers = append(g.answers, r)
	tx := &Tx{store: g.store, group: g}
	if r.err = tx.callFunc(r.fn); r.err == nil {
		r.err = g.mergeTx(tx)
	}
	if r.err != nil {
		g.store.rollback(tx.undo)
	}
}

// mergeTx adds the writes of tx to the group if the limits admit them.
func (g *group) mergeTx(tx *Tx) error {
	if len(tx.ops) == 0 {
		return nil
	}
	if tx.bytes > txBytesMax {
		return matcher.Errorf(matcher.CodeTooLarge, "one write must have at most %d bytes, got %d", txBytesMax, tx.bytes)
	}
	if !g.measured {
		var err error
		if g.space, err = g.store.measureSpace(); err != nil {
			return err
		}
		g.measured = true
	}
	bytes := tx.bytes + len(tx.changes)*len(key{}) // the second part is the journal's entry
	if err := g.space.admit(g.bytes+bytes, tx.grows); err != nil {
		return err
	}
	before := len(g.changes)
	g.changes = append(g.changes, tx.changes...)
	if err := g.store.opts.Applier.Admit(g.changes); err != nil {
		g.changes = g.changes[:before]
		return err
	}
	g.delta.addDelta(tx.delta)
	g.bytes += bytes
	g.garbage += tx.garbage
	g.undo = append(g.undo, tx.undo...)
	if g.ops == nil { // the first transaction of a group is not copied
		g.ops, g.overlay = tx.ops, tx.local
		return nil
	}
	g.ops = append(g.ops, tx.ops...)
	maps.Copy(g.overlay, tx.local)
	return nil
}

// commit makes the group durable, applies it and answers all requests. Failed
// requests are answered only now, too, because their error may depend on writes
// of the group.
func (g *group) commit() {
	s := g.store
	if len(g.ops) > 0 {
		next := s.state
		next.commits++
		next.digest.addDelta(g.delta)
		g.ops = append(g.ops, op{metaState, next.append(nil)})
		if s.sealer != nil {
			g.ops = append(g.ops, op{journalKey(next.commits), appendJournal(nil, g.delta, g.changes)})
		}
		if err := g.writeOps(); s.poison.fault() != nil {
			return // submit returns the fault to the callers
		} else if err != nil {
			g.failAll(err)
		} else {
			s.state = next
			if _, err := s.committed.WriteAt([]byte(committedText(next.commits)), 0); err != nil {
				s.opts.Warn("store: the number of the last commit cannot be written; the next start could not detect a truncated log", "error", err)
			}
			s.applyChanges(g.changes)
			s.sealer.noteChanges(len(g.changes))
			s.reclaimer.noteGarbage(g.garbage)
		}
	}
	for _, r := range g.answers {
		close(r.done)
	}
}

// writeOps makes ops durable, all or none. If it returns an error and the store is
// not poisoned, none is durable. If it is unknown whether they are durable, it
// poisons the store.
func (g *group) writeOps() error {
	if g.bytes >= g.store.opts.tableBytes {
		return g.store.ingest(g.ops)
	}
	b := g.store.db.NewBatch()
	for i := range g.ops {
		if op := &g.ops[i]; op.rec == nil {
			_ = b.Delete(op.key[:], nil) // never fails for a batch without an index
		} else {
			_ = b.Set(op.key[:], op.rec, nil)
		}
	}
	if err := g.store.db.Apply(b, pebble.Sync); err != nil {
		g.store.poison.fail(fmt.Errorf("commit: %w", err))
		return err
	}
	_ = b.Close() // releases the memory; never fails
	return nil
}

// failAll reverts the group and makes err the result of all its requests.
func (g *group) failAll(err error) {
	g.store.rollback(g.undo)
	for _, r := range g.answers {
		r.err = err
	}
}

// applyChanges passes changes to the applier and puts to the observer.
func (s *Store) applyChanges(changes []Change) {
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
