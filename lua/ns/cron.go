package ns

import (
	"context"
	"errors"
	"time"

	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// cronModule is ns.cron.
func cronModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "cron", Params: []string{"expression: string", "zone: string?", "fn: function"}, Returns: []string{"Task?", "string? err"},
		Doc: "Calls fn at the times of a cron expression (minute, hour, day, month, day of the week; or @hourly, @daily, @weekly, @monthly, @yearly), by the clocks of zone (default UTC). " +
			"Times that pass while fn runs are left out. A time that clocks skip in spring is the moment after the skipped hour; a time that they show twice counts once.",
		Run: cronTask,
	}}}
}

// cronSleep is the longest sleep. It limits the delay after the machine's clock was set or
// the machine was suspended.
const cronSleep = time.Minute

func cronTask(c *vm.Call) error {
	c.Charge(taskUnits + cronYears*366) // parseCron may look at each day
	e, err := parseCron(c.Text(1))
	if err != nil {
		return err
	}
	zone, err := loadZone(c.TextOr(2, "UTC"))
	if err != nil {
		return err
	}
	in, fn := self(c), c.Func(3)
	task, err := in.Goroutine(func(ctx context.Context) { in.runCron(ctx, e, zone, fn) })
	if errors.Is(err, errTooEarly) {
		return err
	}
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskClass, Value: task})
}

// runCron calls fn at the times of e until ctx ends. It begins when the generation takes
// over. When the plugin ends, the drain waits for a call in progress.
func (in *Instance) runCron(ctx context.Context, e cronExpr, zone *time.Location, fn *vm.Func) {
	defer in.State.Keep(fn)()
	f := peer.NewFlight(in.Counter())
	defer f.End()
	waits, stop := context.WithCancel(ctx)
	defer stop()
	defer in.OnDrain(func(limit context.Context) {
		stop()
		f.Wait(limit)
	})()
	if !in.AwaitLive(waits) {
		return
	}
	clock := in.Clock()
	for {
		at := e.next(clock.Now(), zone)
		for left := at.Sub(clock.Now()); left > 0; left = at.Sub(clock.Now()) {
			if clock.Sleep(waits, min(left, cronSleep)) != nil {
				return
			}
		}
		if waits.Err() != nil {
			return
		}
		_, err := in.Call(ctx, vm.Limits{}, fn)
		in.Report("cron", err)
	}
}
