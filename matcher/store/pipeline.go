package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// pipeline is the work of the writer goroutine. While another goroutine writes a group, the
// writer runs the transactions of the next one. It applies a group only after the group
// was written, and groups are written one after another. So the disk and the processor
// work at the same time, and commits keep their order.
//
// Only the writer calls the applier. So the transactions of a group and Apply never run
// at the same time.
type pipeline struct {
	store   *Store
	next    *request // was taken from the queue, and must run before all others there; nil: none
	running *group   // its transactions have run; it takes more of them
	writing *group   // is being written, or was written but not applied; nil: none
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
	p := &pipeline{store: s, running: &group{store: s}}
	for more := true; more && s.poison.fault() == nil; {
		more = p.step()
	}
	ended = true
}

// step runs a request, or starts or finishes a write. It returns false when the queue is
// closed and all requests are answered.
func (p *pipeline) step() bool {
	switch r := p.takeRequest(); {
	case r != nil:
		p.running.runRequest(r)
	case p.writing != nil:
		p.finishWrite()
	case !p.running.empty():
		p.startWrite()
	default:
		return false
	}
	return true
}

// takeRequest returns the next request for the running group. It returns nil if the group
// takes no more requests, or if a write can start or finish.
func (p *pipeline) takeRequest() *request {
	g := p.running
	if g.full() {
		return nil
	}
	r := p.next
	if p.next = nil; r == nil {
		r = p.receive()
	}
	if r != nil && r.alone {
		if p.writing != nil || !g.empty() {
			p.next = r // all groups before it must be applied first
			return nil
		}
		g.alone = true
	}
	return r
}

// receive returns a request from the queue. It waits for one unless a write can start or
// finish. It returns nil if there is no request.
func (p *pipeline) receive() *request {
	queue := p.store.queue
	switch {
	case p.writing != nil:
		select {
		case <-p.writing.written: // has priority, because the next write can start
			return nil
		default:
		}
		select {
		case r := <-queue:
			return r
		case <-p.writing.written:
		case <-p.store.poison.done:
		}
		return nil
	case p.running.empty():
		return <-queue
	default:
		select {
		case r := <-queue:
			return r
		default:
			return nil
		}
	}
}

// startWrite begins to write the running group, and begins the next one.
func (p *pipeline) startWrite() {
	g := p.running
	g.before = nil // only transactions need it
	p.writing, p.running = g, &group{store: p.store, before: g}
	g.startWrite()
}

// finishWrite waits for the end of the write, applies the group and answers its requests.
func (p *pipeline) finishWrite() {
	s, g := p.store, p.writing
	select {
	case <-g.written:
	case <-s.poison.done:
	}
	if s.poison.fault() != nil {
		return // submit returns the fault to the callers
	}
	p.writing, p.running.before = nil, nil
	if g.err != nil {
		p.fail(g, g.err)
		return
	}
	g.acknowledge()
	if !p.running.empty() {
		p.startWrite() // before the changes are applied, which takes time
	}
	g.apply()
	g.answerAll()
}

// fail fails a group that was not written, and the running group, whose transactions may
// have seen the writes of g.
func (p *pipeline) fail(g *group, err error) {
	p.running.rollback(err)
	g.rollback(err)
	p.store.opts.Applier.Withdraw()
	g.answerAll()
	p.running.answerAll()
	p.running = &group{store: p.store}
}
