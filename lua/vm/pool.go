package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Pool holds a fixed number of states that share no data. Each state is used by
// one caller at a time. The pool replaces a state in the background if its user
// reports it as broken, or after a number of uses. The methods of a Pool may be
// called by any goroutine.
type Pool struct {
	options      PoolOptions
	ctx          context.Context
	cancel       context.CancelFunc
	idle         chan *State
	replacements sync.WaitGroup

	mu             sync.Mutex // guards the fields below
	closed         bool
	slots          map[*State]*slotUse
	replacedTotals Counters // totals of the states that were replaced
	vacant         int      // slots for which the last attempt to make a state failed
	cause          error    // error of the last failed attempt
}

// A Slot is the place of a state in its pool.
type Slot struct {
	Index    int  // from 1 to PoolOptions.Size
	Replaces bool // whether another state was in this place before
}

// slotUse is the slot of a state and the number of uses of the state.
type slotUse struct {
	index int
	uses  uint64
}

// PoolOptions configures a Pool.
type PoolOptions struct {
	Size    int           // number of states, at least 1
	Recycle uint64        // uses after which a state is replaced; 0: never
	Retry   time.Duration // time between attempts to replace a state; 0: one second
	New     func(ctx context.Context, slot Slot) (*State, error)
	Close   func(ctx context.Context, s *State) error // closes a state; nil: State.Close
	Failed  func(error)                               // called if closing or replacing a state fails; may be nil
}

// NewPool returns a pool. It makes all states at once, so that the first requests
// do not wait for new states.
func NewPool(ctx context.Context, o PoolOptions) (*Pool, error) {
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.Close == nil {
		o.Close = func(ctx context.Context, s *State) error { return s.Close(ctx) }
	}
	p := &Pool{options: o, idle: make(chan *State, max(o.Size, 1)), slots: map[*State]*slotUse{}}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for i := range cap(p.idle) {
		s, err := o.New(p.ctx, Slot{Index: i + 1})
		if err != nil {
			return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
		}
		p.addState(s, i+1)
	}
	return p, nil
}

// addState adds an idle state to the pool.
func (p *Pool) addState(s *State, index int) {
	p.mu.Lock()
	p.slots[s] = &slotUse{index: index}
	p.mu.Unlock()
	p.idle <- s // does not block: the channel has room for all states
}

// Get returns an idle state. It waits for one until ctx ends. If the pool has no
// state because new ones could not be made, Get fails at once. The caller returns
// the state with Put.
func (p *Pool) Get(ctx context.Context) (*State, error) {
	select {
	case s := <-p.idle:
		return s, nil
	default:
	}
	if vacant, cause := p.Vacant(); vacant == cap(p.idle) {
		return nil, fmt.Errorf("the pool has no states, and making a new one failed: %w", cause)
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

// Put returns a state to the pool. If broken is true, the pool replaces the state;
// see Broken.
func (p *Pool) Put(s *State, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := p.slots[s]
	slot.uses++
	if !broken && (p.options.Recycle == 0 || slot.uses < p.options.Recycle) || p.closed {
		p.idle <- s
		return
	}
	delete(p.slots, s)
	p.replacedTotals.Add(s.Counters())
	p.replacements.Go(func() { p.replace(s, slot.index) })
}

// replace closes old and makes a new state. It tries again until it succeeds or the
// pool is closed.
func (p *Pool) replace(old *State, index int) {
	// The calls in old are cancelled and end within one slice. The new state does
	// not wait for host functions that still run.
	if err := p.options.Close(context.WithoutCancel(p.ctx), old); err != nil && p.options.Failed != nil {
		p.options.Failed(err)
	}
	failed := false
	for p.ctx.Err() == nil {
		s, err := p.options.New(p.ctx, Slot{Index: index, Replaces: true})
		p.noteAttempt(&failed, err)
		if err == nil {
			p.addState(s, index)
			return
		}
		if p.options.Failed != nil && p.ctx.Err() == nil {
			p.options.Failed(err)
		}
		select {
		case <-time.After(p.options.Retry):
		case <-p.ctx.Done():
		}
	}
}

// noteAttempt records the result of an attempt to make a state. A slot counts as
// vacant while its last attempt has failed.
func (p *Pool) noteAttempt(failed *bool, err error) {
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

// Vacant returns the number of slots that have no state because the last attempt to
// make one failed, and the last error. The pool continues to try.
func (p *Pool) Vacant() (slots int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vacant == 0 {
		return 0, nil
	}
	return p.vacant, p.cause
}

// Size returns the number of slots.
func (p *Pool) Size() int { return cap(p.idle) }

// Counters returns the totals of all states, replaced ones included.
func (p *Pool) Counters() Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := p.replacedTotals
	for s := range p.slots {
		total.Add(s.Counters())
	}
	return total
}

// Close closes all states, including states in use, and waits for them.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.replacements.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []error
	for s := range p.slots {
		faults = append(faults, p.options.Close(ctx, s))
	}
	return errors.Join(faults...)
}
