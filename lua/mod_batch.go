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
)

// A batch collects values and hands them to a function, size at a time.
type batch struct {
	in    *instance
	size  int
	max   int
	flush *vm.Func
	full  chan struct{} // of capacity 1: size is reached

	mu      sync.Mutex
	items   []any // *vm.Ref
	dropped uint64
}

var batchClass = &vm.Class{
	Name: "Batch", Doc: "Values that wait to be flushed together.",
	Methods: []vm.Function{
		{
			Name: "add", Params: []string{"value: any"}, Doc: "Adds a value; beyond max the oldest is dropped.",
			Run: func(c *vm.Call) error {
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
	b := &batch{in: self(c), full: make(chan struct{}, 1)}
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

func (b *batch) add(v *vm.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= b.max {
		b.items[0] = nil
		b.items = b.items[1:]
		b.dropped++
		b.in.plugin.dropped.Add(1)
	}
	if b.items = append(b.items, v); len(b.items) >= b.size {
		select {
		case b.full <- struct{}{}:
		default:
		}
	}
}

// take removes and returns up to size values.
func (b *batch) take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(b.size, len(b.items))
	items := b.items[:n:n]
	if b.items = b.items[n:]; len(b.items) == 0 {
		b.items = nil
	}
	return items
}

// run flushes when the batch is full and when its period has passed. A flush
// that fails has lost its values.
func (b *batch) run(ctx context.Context, period time.Duration) {
	for {
		tick, cancel := context.WithCancel(ctx)
		slept := make(chan struct{})
		go func() { // ends with tick, at the end of this round
			defer close(slept)
			_ = b.in.plugin.host.clock.Sleep(tick, period)
		}()
		all := false
		select {
		case <-b.full:
		case <-slept:
			all = true
		}
		cancel()
		<-slept
		if ctx.Err() != nil {
			return
		}
		for {
			items := b.take()
			if len(items) == 0 {
				break
			}
			_, err := b.in.call(ctx, vm.Limits{}, b.flush, items)
			b.in.report("batch", err)
			if len(items) < b.size && !all {
				break
			}
		}
	}
}
