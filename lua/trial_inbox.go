package lua

import (
	"context"
	"sync"

	"nearside/lua/vm"
)

// An inbox calls f with each item, in order, in a task of the instance that
// lives as long as there are items.
type inbox struct {
	mu      sync.Mutex
	items   []any
	running bool
	ended   bool
}

func (b *inbox) put(in *instance, item any, f func(ctx context.Context, item any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	if b.items = append(b.items, item); b.running {
		return
	}
	_, err := in.goroutine(func(ctx context.Context) {
		for {
			b.mu.Lock()
			if len(b.items) == 0 || b.ended {
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

func (b *inbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// following gives a script the handle of a reader; end is called when it is
// cancelled.
func following(c *vm.Call, in *instance, end func()) error {
	task, err := in.state.Go(func(ctx context.Context) {
		<-ctx.Done()
		end()
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}
