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

// taskClass is the class of tasks, which functions such as spawn, every and consume
// return.
var taskClass = &vm.Class{
	Name: "Task", Doc: "A running task.",
	Methods: []vm.Function{{
		Name: "cancel", Doc: "Ends the task. If the task is waiting in a call, the call returns at once.",
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
		Classes: []*vm.Class{taskClass},
		Functions: []vm.Function{
			{
				Name: "spawn", Params: []string{"fn: function", "...: any"}, Returns: []string{"Task?", "string? err"},
				Doc: "Runs fn(...) as a task, which starts when the caller waits or ends.", Run: spawnTask,
			},
			{
				Name: "every", Params: []string{"seconds: number", "fn: function"}, Returns: []string{"Task?", "string? err"},
				Doc: "Calls fn repeatedly, with a pause of seconds before each call.", Run: everyTask,
			},
			{
				Name: "ready", Params: []string{"fn: function"},
				Doc: "Runs fn() as a task when the server listens, or after a reload, when the new plugins have taken over.", Run: readyTask,
			},
			{
				Name: "sleep", Params: []string{"seconds: number"}, Waits: true,
				Doc: "Sleeps for seconds. With 0, other calls and tasks of the plugin run.",
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
				Name: "now", Returns: []string{"number"}, Doc: "Returns the Unix time in seconds.",
				Run: func(c *vm.Call) error {
					return c.Return(float64(self(c).Plugin.Host.Clock.Now().UnixNano()) / 1e9)
				},
			},
			{
				Name: "monotonic", Returns: []string{"number"}, Doc: "Returns the seconds since the start of the host. The value never decreases.",
				Run: func(c *vm.Call) error {
					h := self(c).Plugin.Host
					return c.Return(h.Clock.Now().Sub(h.Started).Seconds())
				},
			},
		},
	}
}

// maxSeconds is the maximum number of seconds that Duration accepts: a year.
const maxSeconds = 366 * 24 * 3600

// Duration converts a number of seconds, from 0 to a year, to a duration.
func Duration(seconds float64) (time.Duration, error) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > maxSeconds {
		return 0, fmt.Errorf("seconds must be from 0 to %d (a year), got %v", maxSeconds, seconds)
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
	return c.Return(vm.Object{Class: taskClass, Value: task})
}

func readyTask(c *vm.Call) error {
	in, fn := self(c), c.Func(1)
	if !in.Plugin.Checked.Load() {
		return errTooEarly
	}
	release := in.State.Keep(fn)
	err := in.Plugin.Ready.callWhenReady(func() {
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
	return c.Return(vm.Object{Class: taskClass, Value: task})
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
