package lua

import (
	"context"

	"nearside/lua/goval"
)

// deliver passes queued points to handle_event, one batch after another, until the
// instance ends.
func (p *plugin) deliver(ctx context.Context, in *instance) {
	for {
		select {
		case <-p.queue.ready:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			name, makers := p.queue.take(p.host.o.EventBatch)
			if len(makers) == 0 {
				break
			}
			p.handleBatch(ctx, in, name, makers)
			p.queue.batchHandled()
		}
	}
}

// handleBatch calls handle_event with one batch and the name of its events. If the call
// fails or the breaker is open, the batch is lost and counted.
func (p *plugin) handleBatch(ctx context.Context, in *instance, name string, makers []func() any) {
	b := p.breakers["handle_event"]
	if !b.Allow() {
		p.queue.lose(len(makers))
		return
	}
	values := make([]any, len(makers))
	for i, value := range makers {
		values[i] = goval.Decoded(value())
	}
	_, err := in.callHook(ctx, p.limits["handle_event"], "handle_event", values, name)
	if err != nil && innocent(ctx, err) {
		b.CancelCall()
	} else {
		b.RecordCall(err)
	}
	if err != nil {
		p.queue.lose(len(makers))
		in.Report("handle_event", err)
	}
}
