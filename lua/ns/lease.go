package ns

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/lua/vm"
	"nearside/matcher"
)

// Limits of the time of a lease.
const (
	minLease = time.Second
	maxLease = 24 * time.Hour
	// leaseParts is the number of attempts to renew a lease within its time.
	leaseParts = 3
	// leaseMargin is the part of the time, as a divisor, by which the holder gives a lease
	// up before the server does, because clocks do not run alike.
	leaseMargin = 10
	// endLeaseTime limits how long a lease is returned when it ends.
	endLeaseTime = 5 * time.Second
)

// leaseMethod is the method lease of a Redis client.
var leaseMethod = vm.Function{
	Name: "lease", Params: []string{"key: string", "ttl: number", "options: {won: fun(), lost: fun(reason: string)?}"}, Returns: []string{"Lease?", "string? err"},
	Doc: "Competes with other clients for a key, of which one at a time is the holder, and returns at once. When this client becomes the holder, won runs as a task. " +
		"When it no longer is, that task is cancelled and lost is called. The key expires ttl seconds (1 to 86400) after the last renewal; it is renewed three times in that time. " +
		"A holder that cannot renew it gives up before it expires. When the lease or the plugin ends, the key is deleted after lost has returned, so that another client follows at once.",
	Run: redisLease,
}

var leaseClass = &vm.Class{
	Name: "Lease", Doc: "A lease of a Redis key.",
	Methods: []vm.Function{
		{
			Name: "held", Returns: []string{"boolean"}, Doc: "Reports whether this client holds the key now.",
			Run: func(c *vm.Call) error {
				l := c.Self().(*lease)
				return c.Return(l.holds(l.in.Clock().Now()))
			},
		},
		{
			Name: "cancel", Doc: "Ends the lease.",
			Run: func(c *vm.Call) error {
				c.Self().(*lease).task.Cancel()
				return nil
			},
		},
	},
}

// A lease competes for a key of a Redis server.
type lease struct {
	in     *Instance
	client RedisClient
	key    string
	token  string // the value of the key while this lease holds it
	ttl    time.Duration
	won    *vm.Func
	lost   *vm.Func // may be nil

	task    *vm.Task
	until   atomic.Int64 // Unix nanoseconds until which the key is held; 0: it is not
	winning *vm.Task     // the task of won; nil: the key is not held
	failing bool         // the last attempt to reach the server has failed
}

func redisLease(c *vm.Call) error {
	in := self(c)
	l := &lease{in: in, client: c.Self().(RedisClient), key: c.Text(1), token: matcher.NewID().String()}
	o := &goval.Reader{Map: c.Map(3), Path: "options."}
	o.RefuseUnknown("won", "lost")
	l.won, l.lost = readFunc(o, "won"), readFunc(o, "lost")
	if l.won == nil && len(o.Faults) == 0 {
		o.Fault("won", "is missing: it must be a function")
	}
	if l.key == "" {
		o.Faults = append(o.Faults, errors.New("the key is empty"))
	}
	ttl, err := Duration(c.Number(2))
	if err != nil || ttl < minLease || ttl > maxLease {
		o.Faults = append(o.Faults, fmt.Errorf("ttl must be from %v to %v seconds, got %v", minLease.Seconds(), maxLease.Seconds(), c.Number(2)))
	}
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	l.ttl = ttl
	c.Charge(taskUnits)
	usage := in.Usage()
	if !usage.OpenReader() {
		return c.Fail(peer.ErrTooManyReaders)
	}
	begin := make(chan struct{}) // closed when l.task is set
	l.task, err = in.Goroutine(func(ctx context.Context) {
		defer usage.CloseReader()
		<-begin
		l.run(ctx)
	})
	if err != nil {
		usage.CloseReader()
		if errors.Is(err, errTooEarly) {
			return err
		}
		return c.Fail(err)
	}
	close(begin)
	return c.Return(vm.Object{Class: leaseClass, Value: l})
}

// readFunc returns a field that is a function, or nil.
func readFunc(o *goval.Reader, field string) *vm.Func {
	fn, ok := o.Map[field].(*vm.Func)
	if !ok && o.Map[field] != nil {
		o.Fault(field, "is not a function")
	}
	return fn
}

// VisitHeld implements [vm.Holder].
func (l *lease) VisitHeld(visit func(v any)) {
	visit(l.won)
	if l.lost != nil {
		visit(l.lost)
	}
}

// holds reports whether the key is held at the time now.
func (l *lease) holds(now time.Time) bool { return now.UnixNano() < l.until.Load() }

// run competes for the key until ctx ends or the plugin ends.
func (l *lease) run(ctx context.Context) {
	defer l.in.State.Keep(l)()
	f := peer.NewFlight(l.in.Counter())
	defer f.End()
	compete, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(l.client.Context(), stop)()
	defer l.in.OnDrain(func(limit context.Context) {
		stop()
		f.Wait(limit)
	})()
	if !l.in.AwaitLive(compete) {
		return
	}
	for compete.Err() == nil {
		if l.winning == nil {
			l.tryWin(compete)
		} else {
			l.renew(compete)
		}
		_ = l.in.Clock().Sleep(compete, l.pause()) // ends early with compete
	}
	l.end()
}

// pause returns the time until the next attempt. A holder wakes at the latest when its time
// is over.
func (l *lease) pause() time.Duration {
	pause := l.ttl / leaseParts
	if l.winning != nil {
		pause = min(pause, time.Unix(0, l.until.Load()).Sub(l.in.Clock().Now()))
	}
	return max(pause, 0)
}

// deadline returns the time at which a holder gives up if it renewed the key at the time
// begin.
func (l *lease) deadline(begin time.Time) int64 {
	return begin.Add(l.ttl - l.ttl/leaseMargin).UnixNano()
}

func (l *lease) millis() string { return strconv.FormatInt(l.ttl.Milliseconds(), 10) }

// tryWin sets the key if it does not exist.
func (l *lease) tryWin(ctx context.Context) {
	begin := l.in.Clock().Now()
	reply, err := l.client.Do(ctx, "SET", l.key, l.token, "NX", "PX", l.millis())
	if l.report(ctx, err); err != nil || reply == nil {
		return
	}
	l.until.Store(l.deadline(begin))
	task, err := l.in.spawn(l.won)
	if err != nil { // the state has too many tasks
		l.in.Report("lease", err)
		l.drop("the function won cannot run: " + err.Error())
		return
	}
	l.winning = task
}

// renew makes the key last longer, or gives it up.
func (l *lease) renew(ctx context.Context) {
	begin := l.in.Clock().Now()
	if !l.holds(begin) {
		l.lose("the key was not renewed in time")
		return
	}
	limited, cancel := l.in.Plugin.Host.WithTimeout(ctx, time.Unix(0, l.until.Load()).Sub(begin))
	reply, err := l.client.Do(limited, "EVAL", redis.RenewLease, "1", l.key, l.token, l.millis())
	cancel()
	l.report(ctx, err)
	switch {
	case err == nil && fmt.Sprint(reply) == "1":
		l.until.Store(l.deadline(begin))
	case err == nil:
		l.lose("another client holds the key, or it was deleted")
	case ctx.Err() == nil && !l.holds(l.in.Clock().Now()):
		l.lose("the key was not renewed in time")
	}
}

// report logs the first failure of several in a row.
func (l *lease) report(ctx context.Context, err error) {
	if err != nil && !l.failing && ctx.Err() == nil {
		l.in.Report("lease", fmt.Errorf("key %q: %w", l.key, err))
	}
	l.failing = err != nil
}

// lose ends the task of won and calls lost.
func (l *lease) lose(reason string) {
	l.until.Store(0)
	if l.winning != nil {
		l.winning.Cancel()
		l.winning = nil
	}
	if l.lost != nil {
		_, err := l.in.Call(l.in.State.Context(), vm.Limits{}, l.lost, reason)
		l.in.Report("lease", err)
	}
}

// end gives the key up because the lease or the plugin ends.
func (l *lease) end() {
	if l.winning != nil {
		l.lose("the lease has ended")
		l.drop("")
	}
}

// drop deletes the key. reason is logged unless it is empty.
func (l *lease) drop(reason string) {
	l.until.Store(0)
	if reason != "" {
		l.in.Log().Warn("lease was dropped", "key", l.key, "reason", reason)
	}
	ctx, cancel := l.in.Plugin.Host.WithTimeout(context.WithoutCancel(l.in.State.Context()), endLeaseTime)
	defer cancel()
	_, err := l.client.Do(ctx, "EVAL", redis.EndLease, "1", l.key, l.token)
	l.report(ctx, err)
}
