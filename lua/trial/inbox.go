package trial

import (
	"context"
	"sync"

	"nearside/lua/ns"
)

// An inbox calls a function with each item, in order. It does so in a task of the
// instance, which ends when there are no more items.
type inbox struct {
	mu      sync.Mutex
	items   []any
	running bool
}

// addItem adds an item. If no task handles the items, it starts a task that calls f.
func (b *inbox) addItem(in *ns.Instance, item any, f func(ctx context.Context, item any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.items = append(b.items, item); b.running {
		return
	}
	_, err := in.Go(func(ctx context.Context) {
		for {
			b.mu.Lock()
			if len(b.items) == 0 {
				b.running = false
				b.mu.Unlock()
				return
			}
			item := b.items[0]
			b.items = b.items[1:]
			b.mu.Unlock()
			f(ctx, item)
		}
	})
	b.running = err == nil
}
