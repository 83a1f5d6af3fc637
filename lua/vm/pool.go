package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Pool is a fixed number of states that share nothing. Each is used by one
// caller at a time. A state is replaced, in the background, after a call on
// it failed and after a number of calls.
type Pool struct {
	o      PoolOptions
	ctx    context.Context
	cancel context.CancelFunc
	idle   chan *State
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[*State]uint64 // states and how often each was used
	past   Counters          // of states that were replaced
}

// PoolOptions configures a Pool.
type PoolOptions struct {
	Size    int           // states; at least 1
	Recycle uint64        // uses after which a state is replaced; 0: never
	Retry   time.Duration // between attempts to replace a state; 0: a second
	New     func(ctx context.Context) (*State, error)
	Close   func(ctx context.Context, s *State) error // nil: State.Close
	Failed  func(error)                               // told when a replacement fails; may be nil
}

// NewPool makes all states at once, so that the first requests wait for none.
func NewPool(ctx context.Context, o PoolOptions) (*Pool, error) {
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.Close == nil {
		o.Close = func(ctx context.Context, s *State) error { return s.Close(ctx) }
	}
	p := &Pool{o: o, idle: make(chan *State, max(o.Size, 1)), all: map[*State]uint64{}}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for range cap(p.idle) {
		s, err := o.New(p.ctx)
		if err != nil {
			return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
		}
		p.add(s)
	}
	return p, nil
}

func (p *Pool) add(s *State) {
	p.mu.Lock()
	p.all[s] = 0
	p.mu.Unlock()
	p.idle <- s // never blocks: there are no more states than places
}

// Get waits for an idle state until ctx ends. The caller gives it back by
// Put.
func (p *Pool) Get(ctx context.Context) (*State, error) {
	select {
	case s := <-p.idle:
		return s, nil
	default:
	}
	select {
	case s := <-p.idle:
		return s, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a state of the pool: %w", ctx.Err())
	case <-p.ctx.Done():
		return nil, ErrClosed
	}
}

// Put gives back a state. broken says that a call on it failed.
func (p *Pool) Put(s *State, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[s]++
	if !broken && (p.o.Recycle == 0 || p.all[s] < p.o.Recycle) || p.closed {
		p.idle <- s
		return
	}
	delete(p.all, s)
	p.past.Add(s.Counters())
	p.work.Go(func() { p.replace(s) })
}

// replace closes old and makes a new state, as often as it takes.
func (p *Pool) replace(old *State) {
	// The calls in it end within a slice of being cancelled; the new state
	// does not wait for what a host function still does.
	if err := p.o.Close(context.WithoutCancel(p.ctx), old); err != nil && p.o.Failed != nil {
		p.o.Failed(err)
	}
	for p.ctx.Err() == nil {
		s, err := p.o.New(p.ctx)
		if err == nil {
			p.add(s)
			return
		}
		if p.o.Failed != nil && p.ctx.Err() == nil {
			p.o.Failed(err)
		}
		select {
		case <-time.After(p.o.Retry):
		case <-p.ctx.Done():
		}
	}
}

// Size returns how many states there are when none is being replaced.
func (p *Pool) Size() int { return cap(p.idle) }

// Idle returns how many states wait for a caller.
func (p *Pool) Idle() int { return len(p.idle) }

// Counters returns the totals of all states, replaced ones included.
func (p *Pool) Counters() Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := p.past
	for s := range p.all {
		total.Add(s.Counters())
	}
	return total
}

// Close ends all states, also those in use, and waits for them.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []error
	for s := range p.all {
		faults = append(faults, p.o.Close(ctx, s))
	}
	return errors.Join(faults...)
}
