package lua

import (
	"context"
)

// deliver hands queued points to handle_event, a batch after the other, until
// the instance ends or the queue is drained.
func (p *plugin) deliver(ctx context.Context, in *instance) {
	for {
		select {
		case <-p.queue.ready:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			_, values := p.queue.take(p.host.o.EventBatch)
			if len(values) == 0 {
				break
			}
			p.handle(ctx, in, values)
			p.queue.handled()
		}
	}
}

// handle calls handle_event with one batch. A batch that fails is lost and
// counted; while the breaker is open, all are.
func (p *plugin) handle(ctx context.Context, in *instance, values []any) {
	b := p.breakers["handle_event"]
	if !b.Allow() {
		p.queue.lose(len(values))
		return
	}
	_, err := in.hook(ctx, p.limits["handle_event"], "handle_event", values)
	b.Done(err)
	if err != nil {
		p.queue.lose(len(values))
		in.report("handle_event", err)
	}
}
