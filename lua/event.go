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
			name, values := p.queue.takeBatch(p.host.o.EventBatch)
			if len(values) == 0 {
				break
			}
			p.handleBatch(ctx, in, name, values)
			p.queue.batchHandled(name)
		}
	}
}

// handleBatch calls handle_event with the results of values and the name of their events.
// If the call fails or the breaker is open, the batch is lost and counted.
func (p *plugin) handleBatch(ctx context.Context, in *instance, name string, values []func() any) {
	call, ok := p.breakers["handle_event"].Allow()
	if !ok {
		p.queue.countLost(len(values))
		return
	}
	points := make([]any, len(values))
	for i, value := range values {
		points[i] = goval.Decoded(value())
	}
	_, err := in.callHook(ctx, p.limits["handle_event"], "handle_event", points, name)
	if err != nil && innocent(ctx, err) {
		call.Cancel()
	} else {
		call.Record(err)
	}
	if err != nil {
		p.queue.countLost(len(values))
		in.Report("handle_event", err)
	}
}
