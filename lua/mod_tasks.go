package lua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"nearside/lua/vm"
)

// minPeriod is the shortest period of a timer.
const minPeriod = time.Millisecond

// taskHandle is what spawn and every return.
var taskHandle = &vm.Class{
	Name: "Task", Doc: "A running task.",
	Methods: []vm.Function{{
		Name: "cancel", Doc: "Ends the task: a waiting call in it returns at once.",
		Run: func(c *vm.Call) error {
			c.Self().(*vm.Task).Cancel()
			return nil
		},
	}},
}

// tasksModule runs functions beside the one that calls. Tasks end with the
// generation of their plugin.
func tasksModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{taskHandle},
		Functions: []vm.Function{
			{
				Name: "spawn", Params: []string{"fn: function", "...: any"}, Returns: []string{"Task?", "string? err"},
				Doc: "Runs fn(...) as a task: it starts when the caller waits or ends.", Run: spawnTask,
			},
			{
				Name: "every", Params: []string{"seconds: number", "fn: function"}, Returns: []string{"Task?", "string? err"},
				Doc: "Calls fn again and again, the first time after seconds; a call that is late is not made up for.", Run: everyTask,
			},
			{
				Name: "ready", Params: []string{"fn: function"},
				Doc: "Runs fn() as a task once the server listens: after a reload when the new plugins have taken over.", Run: readyTask,
			},
			{
				Name: "sleep", Params: []string{"seconds: number"}, Waits: true,
				Doc: "Waits; 0 lets others run.",
				Run: func(c *vm.Call) error {
					d, err := duration(c.Number(1))
					if err != nil {
						return err
					}
					clock := self(c).plugin.host.clock
					return c.Wait(func(ctx context.Context) error { return clock.Sleep(ctx, d) })
				},
			},
			{
				Name: "now", Returns: []string{"number"}, Doc: "Unix time in seconds.",
				Run: func(c *vm.Call) error {
					return c.Return(float64(self(c).plugin.host.clock.Now().UnixNano()) / 1e9)
				},
			},
			{
				Name: "monotonic", Returns: []string{"number"}, Doc: "Seconds since the host's start; never goes back.",
				Run: func(c *vm.Call) error {
					h := self(c).plugin.host
					return c.Return(h.clock.Now().Sub(h.started).Seconds())
				},
			},
		},
	}
}

func duration(seconds float64) (time.Duration, error) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 366*24*3600 {
		return 0, fmt.Errorf("%v seconds are not within 0 and a year", seconds)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func spawnTask(c *vm.Call) error {
	fn := c.Func(1)
	args := make([]any, 0, max(c.Args()-1, 0))
	for i := 2; i <= c.Args(); i++ {
		args = append(args, c.Ref(i))
	}
	task, err := self(c).spawn(fn, args...)
	if errors.Is(err, errTooEarly) {
		return err
	}
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}

func readyTask(c *vm.Call) error {
	in, fn := self(c), c.Func(1)
	if !in.plugin.checked.Load() {
		return errTooEarly
	}
	release := in.state.Keep(fn)
	err := in.plugin.ready.add(func() {
		defer release()
		_, err := in.spawn(fn)
		in.report("ready", err)
	})
	if err != nil {
		release()
	}
	return err
}

func everyTask(c *vm.Call) error {
	d, err := duration(c.Number(1))
	if err != nil {
		return err
	}
	in, fn := self(c), c.Func(2)
	task, err := in.goroutine(func(ctx context.Context) { in.tick(ctx, max(d, minPeriod), fn) })
	if errors.Is(err, errTooEarly) {
		return err
	}
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}

// tick calls fn again and again until ctx ends. When the plugin ends, a call
// in progress is waited for.
func (in *instance) tick(ctx context.Context, d time.Duration, fn *vm.Func) {
	defer in.state.Keep(fn)()
	f := newFlight(in.plugin.host)
	defer f.end()
	ticks, stop := context.WithCancel(ctx)
	defer stop()
	defer in.onDrain(func(limit context.Context) {
		stop()
		f.wait(limit)
	})()
	for in.plugin.host.clock.Sleep(ticks, d) == nil {
		_, err := in.call(ctx, vm.Limits{}, fn)
		in.report("timer", err)
	}
}
