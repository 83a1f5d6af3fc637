package ns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// minPeriod is the shortest period of a timer.
const minPeriod = time.Millisecond

// taskHandle is the class of the task that spawn and every return.
var taskHandle = &vm.Class{
	Name: "Task", Doc: "A running task.",
	Methods: []vm.Function{{
		Name: "cancel", Doc: "Ends the task: a waiting call in it returns at once.",
		Run: func(c *vm.Call) error {
			c.Self().(peer.Task).Cancel()
			return nil
		},
	}},
}

// tasksModule has the functions for tasks, timers and time. Tasks run concurrently
// with their caller and end with the generation of their plugin.
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
					d, err := Duration(c.Number(1))
					if err != nil {
						return err
					}
					clock := self(c).Plugin.Host.Clock
					return c.Wait(func(ctx context.Context) error { return clock.Sleep(ctx, d) })
				},
			},
			{
				Name: "now", Returns: []string{"number"}, Doc: "Unix time in seconds.",
				Run: func(c *vm.Call) error {
					return c.Return(float64(self(c).Plugin.Host.Clock.Now().UnixNano()) / 1e9)
				},
			},
			{
				Name: "monotonic", Returns: []string{"number"}, Doc: "Seconds since the host's start; never goes back.",
				Run: func(c *vm.Call) error {
					h := self(c).Plugin.Host
					return c.Return(h.Clock.Now().Sub(h.Started).Seconds())
				},
			},
		},
	}
}

// Duration converts a number of seconds, from 0 to a year, to a duration.
func Duration(seconds float64) (time.Duration, error) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 366*24*3600 {
		return 0, fmt.Errorf("%v seconds are not within 0 and a year", seconds)
	}
	return time.Duration(math.Ceil(seconds * float64(time.Second))), nil // rounded up, so that a positive time is never 0
}

// taskUnits is the charge for starting and ending a task.
const taskUnits = 60

func spawnTask(c *vm.Call) error {
	c.Charge(taskUnits)
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
	if !in.Plugin.Checked.Load() {
		return errTooEarly
	}
	release := in.State.Keep(fn)
	err := in.Plugin.Ready.add(func() {
		defer release()
		_, err := in.spawn(fn)
		in.Report("ready", err)
	})
	if err != nil {
		release()
	}
	return err
}

func everyTask(c *vm.Call) error {
	c.Charge(taskUnits)
	d, err := Duration(c.Number(1))
	if err != nil {
		return err
	}
	in, fn := self(c), c.Func(2)
	task, err := in.Goroutine(func(ctx context.Context) { in.tick(ctx, max(d, minPeriod), fn) })
	if errors.Is(err, errTooEarly) {
		return err
	}
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}

// tick calls fn repeatedly, with a pause of d before each call, until ctx ends. When
// the plugin ends, the drain waits for a call in progress.
func (in *Instance) tick(ctx context.Context, d time.Duration, fn *vm.Func) {
	defer in.State.Keep(fn)()
	f := peer.NewFlight(in.Counter())
	defer f.End()
	ticks, stop := context.WithCancel(ctx)
	defer stop()
	defer in.OnDrain(func(limit context.Context) {
		stop()
		f.Wait(limit)
	})()
	for in.Plugin.Host.Clock.Sleep(ticks, d) == nil {
		_, err := in.Call(ctx, vm.Limits{}, fn)
		in.Report("timer", err)
	}
}
