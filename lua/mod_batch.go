package lua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nearside/lua/vm"
)

// Bounds of a batch.
const (
	maxBatchSize  = 10_000
	maxBatchItems = 1_000_000
	itemBytes     = 64 // of a value that waits, without the value
)

// A batch collects values and hands them to a function, size at a time.
type batch struct {
	in    *instance
	size  int
	max   int
	flush *vm.Func

	mu       sync.Mutex
	items    []any // *vm.Ref
	dropped  uint64
	flushing bool // somebody calls flush, one batch after the other
	rest     bool // and goes on with fewer than size
}

var batchClass = &vm.Class{
	Name: "Batch", Doc: "Values that wait to be flushed together.",
	Methods: []vm.Function{
		{
			Name: "add", Params: []string{"value: any"}, Doc: "Adds a value; beyond max the oldest is dropped.",
			Run: func(c *vm.Call) error {
				c.Allocate(itemBytes)
				c.Self().(*batch).add(c.Ref(1))
				return nil
			},
		},
		{
			Name: "flush", Doc: "Flushes what is there, in this call.", Waits: true,
			Run: func(c *vm.Call) error {
				b := c.Self().(*batch)
				for items := b.take(); len(items) > 0; items = b.take() {
					if _, err := c.Invoke(b.flush, items); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			Name: "dropped", Returns: []string{"integer"}, Doc: "Tells how many values were dropped.",
			Run: func(c *vm.Call) error {
				b := c.Self().(*batch)
				b.mu.Lock()
				defer b.mu.Unlock()
				return c.Return(b.dropped)
			},
		},
	},
}

func batchModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{batchClass},
		Functions: []vm.Function{{
			Name: "batch", Params: []string{"options: {size: integer?, seconds: number?, max: integer?, flush: fun(items: any[])}"},
			Returns: []string{"Batch"},
			Doc:     "Collects values and calls flush with size (100) of them, or with fewer after seconds (1); max (10 times size) may wait.",
			Run:     newBatch,
		}},
	}
}

func newBatch(c *vm.Call) error {
	options := c.Map(1)
	b := &batch{in: self(c)}
	var ok bool
	if b.flush, ok = options["flush"].(*vm.Func); !ok {
		return errors.New("options.flush is no function")
	}
	number := func(name string, other, most float64) (float64, error) {
		v, ok := options[name]
		if !ok {
			return other, nil
		}
		f, ok := v.(float64)
		if !ok || f <= 0 || f > most {
			return 0, fmt.Errorf("options.%s: %v is not a number above 0 and at most %v", name, v, most)
		}
		return f, nil
	}
	size, err1 := number("size", 100, maxBatchSize)
	seconds, err2 := number("seconds", 1, 24*3600)
	most, err3 := number("max", max(10*size, 1), maxBatchItems)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for name := range options {
		switch name {
		case "size", "seconds", "max", "flush":
		default:
			return fmt.Errorf("options.%s is unknown", name)
		}
	}
	b.size, b.max = max(int(size), 1), max(int(most), 1)
	period := max(time.Duration(seconds*float64(time.Second)), minPeriod)
	if _, err := b.in.goroutine(func(ctx context.Context) { b.run(ctx, period) }); err != nil {
		return err
	}
	return c.Return(vm.Object{Class: batchClass, Value: b})
}

// add adds a value. The one that fills the batch starts a task that flushes.
func (b *batch) add(v *vm.Ref) {
	b.mu.Lock()
	if len(b.items) >= b.max {
		b.items[0] = nil
		b.items = b.items[1:]
		b.dropped++
		b.in.plugin.dropped.Add(1)
	}
	b.items = append(b.items, v)
	start := len(b.items) >= b.size && !b.flushing
	b.flushing = b.flushing || start
	b.mu.Unlock()
	if !start {
		return
	}
	if _, err := b.in.goroutine(b.drain); err != nil { // too many tasks: the next value tries again
		b.mu.Lock()
		b.flushing = false
		b.mu.Unlock()
	}
}

// Held implements [vm.Holder].
func (b *batch) Held(visit func(v any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	visit(b.flush)
	visit(b.items)
}

// take removes and returns up to size values.
func (b *batch) take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken()
}

func (b *batch) taken() []any {
	n := min(b.size, len(b.items))
	items := b.items[:n:n]
	if b.items = b.items[n:]; len(b.items) == 0 {
		b.items = nil
	}
	return items
}

// run flushes whatever is there when its period has passed.
func (b *batch) run(ctx context.Context, period time.Duration) {
	defer b.in.state.Keep(b)()
	for b.in.plugin.host.clock.Sleep(ctx, period) == nil {
		b.mu.Lock()
		b.rest = len(b.items) > 0
		start := b.rest && !b.flushing
		b.flushing = b.flushing || start
		b.mu.Unlock()
		if start {
			b.drain(ctx)
		}
	}
}

// drain flushes full batches, or all that is there. Values are taken when
// flush is about to run, not before: until then they can be dropped, and an
// explicit flush takes them in their order. A flush that fails has lost its
// values.
func (b *batch) drain(ctx context.Context) {
	for more := true; more; {
		err := b.in.state.CallLate(ctx, vm.Limits{}, b.flush, func() []any {
			b.mu.Lock()
			defer b.mu.Unlock()
			if more = len(b.items) > 0 && (len(b.items) >= b.size || b.rest); !more {
				b.flushing, b.rest = false, false
				return nil
			}
			return []any{b.taken()}
		})
		b.in.report("batch", err)
		if ctx.Err() != nil || errors.Is(err, vm.ErrClosed) {
			return // with the plugin
		}
	}
}
