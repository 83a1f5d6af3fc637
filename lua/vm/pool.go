package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Pool is a fixed number of states that share nothing. Each is used by one
// caller at a time. A state is replaced, in the background, when its user calls
// it broken and after a number of uses.
type Pool struct {
	o      PoolOptions
	ctx    context.Context
	cancel context.CancelFunc
	idle   chan *State
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[*State]*slotUse
	past   Counters // of states that were replaced
	vacant int      // slots whose new state could not be made at the last attempt
	cause  error    // why
}

// A Slot is the place that a state takes in its pool.
type Slot struct {
	Index    int  // from 1 to PoolOptions.Size
	Replaces bool // whether another state had the place before
}

// slotUse is the place of a state and how often the state was used.
type slotUse struct {
	index int
	uses  uint64
}

// PoolOptions configures a Pool.
type PoolOptions struct {
	Size    int           // states; at least 1
	Recycle uint64        // uses after which a state is replaced; 0: never
	Retry   time.Duration // between attempts to replace a state; 0: a second
	New     func(ctx context.Context, slot Slot) (*State, error)
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
	p := &Pool{o: o, idle: make(chan *State, max(o.Size, 1)), all: map[*State]*slotUse{}}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for i := range cap(p.idle) {
		s, err := o.New(p.ctx, Slot{Index: i + 1})
		if err != nil {
			return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
		}
		p.add(s, i+1)
	}
	return p, nil
}

func (p *Pool) add(s *State, index int) {
	p.mu.Lock()
	p.all[s] = &slotUse{index: index}
	p.mu.Unlock()
	p.idle <- s // never blocks: there are no more states than places
}

// Get waits for an idle state until ctx ends. It does not wait when no state
// is left because new ones cannot be made. The caller gives the state back by
// Put.
func (p *Pool) Get(ctx context.Context) (*State, error) {
	select {
	case s := <-p.idle:
		return s, nil
	default:
	}
	if vacant, cause := p.Vacant(); vacant == cap(p.idle) {
		return nil, fmt.Errorf("no state is left, and none can be made: %w", cause)
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

// Put gives back a state. broken says that it must not be used again; see
// Broken.
func (p *Pool) Put(s *State, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := p.all[s]
	slot.uses++
	if !broken && (p.o.Recycle == 0 || slot.uses < p.o.Recycle) || p.closed {
		p.idle <- s
		return
	}
	delete(p.all, s)
	p.past.Add(s.Counters())
	p.work.Go(func() { p.replace(s, slot.index) })
}

// replace closes old and makes a new state, as often as it takes.
func (p *Pool) replace(old *State, index int) {
	// The calls in it end within a slice of being cancelled; the new state
	// does not wait for what a host function still does.
	if err := p.o.Close(context.WithoutCancel(p.ctx), old); err != nil && p.o.Failed != nil {
		p.o.Failed(err)
	}
	failed := false
	for p.ctx.Err() == nil {
		s, err := p.o.New(p.ctx, Slot{Index: index, Replaces: true})
		p.note(&failed, err)
		if err == nil {
			p.add(s, index)
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

// note counts a slot as vacant while its last attempt has failed.
func (p *Pool) note(failed *bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && *failed:
		p.vacant--
	case err != nil && !*failed:
		p.vacant++
	}
	if *failed = err != nil; *failed {
		p.cause = err
	}
}

// Vacant returns how many slots have no state because the last attempt to make
// one failed, and why. They are tried again.
func (p *Pool) Vacant() (slots int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vacant == 0 {
		return 0, nil
	}
	return p.vacant, p.cause
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
