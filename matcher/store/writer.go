package store

import (
	"context"
	"sync/atomic"

	"nearside/matcher"
)

// Limits of a commit. A group that has reached groupBytes takes no further
// transaction, so it exceeds groupBytes by at most one transaction. There are at most
// two groups at a time. groupTx limits the cost of Applier.Admit, which checks the whole
// group again for each transaction.
const (
	groupBytes = 8 << 20
	groupTx    = 128
	txBytesMax = 1 << 30
)

// request is a transaction that waits for the writer or is run by it.
type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	alone bool        // commit in a separate group
	taken atomic.Bool // set by the writer, or by a caller that stops waiting
	ran   bool        // fn has run; only the writer uses it
	err   error       // set before done is closed
	done  chan struct{}
}

// Commit runs fn on the writer goroutine and makes its writes durable, all or
// none. When Commit returns nil, the writes are on disk and applied. Several
// transactions share one sync. fn sees the writes of all earlier transactions, also of
// those that are not on disk yet. If these cannot be written, Commit returns their error.
// fn must not block, keep the Tx or call Commit.
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
	return s.await(r)
}

// await waits for the result of r, which is in the queue.
func (s *Store) await(r *request) error {
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
