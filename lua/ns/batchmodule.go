package ns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"nearside/lua/vm"
)

// Limits of a batch.
const (
	maxBatchSize  = 10_000
	maxBatchItems = 1_000_000
	itemBytes     = 64 // memory of a waiting value, without the value itself
)

var batchClass = &vm.Class{
	Name: "Batch", Doc: "Values that wait to be flushed together.",
	Methods: []vm.Function{
		{
			Name: "add", Params: []string{"value: any"}, Doc: "Adds a value. If max values wait already, the oldest is dropped and counted.",
			Run: func(c *vm.Call) error {
				c.Allocate(itemBytes)
				c.Self().(*batch).addValue(c.Ref(1))
				return nil
			},
		},
		{
			Name: "flush", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Waits for a flush in progress, then flushes all waiting values. If a flush fails, returns nil and the reason, and its values wait for the next flush. Otherwise returns true.",
			Run: batchFlush,
		},
		{
			Name: "dropped", Returns: []string{"integer"}, Doc: "Returns how many values were dropped.",
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
			Name: "batch", Params: []string{"options: {size: integer?, seconds: number?, max: integer?, flush: fun(items: any[]): boolean?, string?}"},
			Returns: []string{"Batch"},
			Doc: "Collects values and calls flush with up to size (100) of them, at the latest after seconds (1). If flush raises an error, or returns false, or nil and a reason, " +
				"it is called again with the same values after 1 s, 2 s, ... 60 s. Meanwhile up to max (10 times size) values wait. A reload and a shutdown flush the waiting values.",
			Run: newBatch,
		}},
	}
}

func newBatch(c *vm.Call) error {
	options := c.Map(1)
	b := &batch{in: self(c)}
	var ok bool
	if b.fn, ok = options["flush"].(*vm.Func); !ok {
		return errors.New("options.flush must be a function")
	}
	number := func(name string, fallback, limit float64, whole bool) (float64, error) {
		v, ok := options[name]
		if !ok {
			return fallback, nil
		}
		f, ok := v.(float64)
		switch {
		case whole && (!ok || f != math.Trunc(f) || f < 1 || f > limit):
			return 0, fmt.Errorf("options.%s: must be a whole number from 1 to %v, got %v", name, limit, v)
		case !ok || !(f > 0 && f <= limit):
			return 0, fmt.Errorf("options.%s: must be a number above 0 and at most %v, got %v", name, limit, v)
		}
		return f, nil
	}
	size, err1 := number("size", 100, maxBatchSize, true)
	seconds, err2 := number("seconds", 1, 24*3600, false)
	limit, err3 := number("max", 10*size, maxBatchItems, true)
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
	b.size, b.max = int(size), int(limit)
	b.period = max(time.Duration(seconds*float64(time.Second)), minPeriod)
	b.turn.host = b.in.Plugin.Host
	if _, err := b.in.Goroutine(b.flushPeriodically); err != nil {
		return err
	}
	b.in.registerBatch(b)
	return c.Return(vm.Object{Class: batchClass, Value: b})
}

// batchFlush implements batch:flush().
func batchFlush(c *vm.Call) error {
	b := c.Self().(*batch)
	var failed error
	err := c.Wait(func(ctx context.Context) error {
		if ctx.Value(flushOf{b}) != nil {
			return errors.New("a flush function cannot flush its own batch")
		}
		failed = b.flushAll(ctx, func(error) bool { return false })
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return c.Fail(failed)
	}
	return c.Return(true)
}
