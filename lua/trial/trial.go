package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nearside/lua"
	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// Root is the name of the module that tests of plugins require.
const Root = "nearside.test"

// testTime is the time limit of one test, in real time.
const testTime = 30 * time.Second

// A Result is the result of one test of a plugin.
type Result struct {
	Plugin, File, Name string
	Took               time.Duration
	Fault              string   // "file:line: reason", then the Lua lines that led there; empty: the test passed
	Output             []string // lines of print of the plugin and of the test
}

// A trial is one test of a plugin, with test doubles of everything outside the plugin.
type trial struct {
	options   lua.Options // of the plugin's host
	name      string      // of the plugin
	clock     *clock
	http      *httpDouble
	redis     *redisDouble
	amqp      *amqpDouble
	log       *testLog
	hosts     []*lua.Host
	store     *storeDouble // nil before the first start
	local     *trialLocal
	meter     *meterDouble
	resources ns.Resources

	mu       sync.Mutex
	failures []string                // of background calls and of the matching side; the test does not receive these errors
	points   map[*ns.Instance]*inbox // of stored events

	serving atomic.Bool // a server would listen
	excused bool        // the test has called status, so failures of the plugin do not fail it
}

// suite is a file of tests. It owns the state of the file's script.
type suite struct {
	plugin  string
	cases   []trialCase
	current *trial // nil while the file is loading
	output  output // of print since the last test
}

type trialCase struct {
	name string
	fn   *vm.Func
}

// now returns the time of the current test.
func (s *suite) now() time.Time {
	if s.current == nil {
		return startTime
	}
	return s.current.clock.Now()
}

// trialOf returns the running test of the suite that made the call.
func trialOf(c *vm.Call) (*trial, error) {
	t := c.Owner().(*suite).current
	if t == nil {
		return nil, errors.New("only a test (test.case) can call this, not the file outside of its tests")
	}
	return t, nil
}

// Run runs the tests of a plugin: name_test.lua beside the plugin and, if the plugin is
// a folder, all *_test.lua in it. It calls each after every test. The error says why
// tests could not run; a failed test is not an error.
func Run(ctx context.Context, o lua.Options, name string, each func(Result)) error {
	name, files, err := lua.TestScripts(o, name)
	faults := []error{err}
	for _, file := range files {
		faults = append(faults, testFile(ctx, o, name, file, each))
	}
	return errors.Join(faults...)
}

// testFile runs the tests of one file in the order of the file.
func testFile(ctx context.Context, o lua.Options, name string, file lua.TestScript, each func(Result)) (err error) {
	script, err := vm.Compile(file.Name, file.Text, Root)
	if err != nil {
		return err
	}
	lib := library()
	for _, use := range script.Uses {
		if !lib.Has(use.Path) {
			err = errors.Join(err, fmt.Errorf("%s:%d: %s has no %q", script.Name, use.Line, Root, use.Path))
		}
	}
	if err != nil {
		return err
	}
	s := &suite{plugin: name}
	state := lib.NewState(ctx, vm.StateOptions{Owner: s, Print: s.output.add, Time: vm.Clock{Now: s.now, Started: processStart()}})
	defer func() { err = errors.Join(err, state.Close(context.WithoutCancel(ctx))) }()
	if _, _, err := state.Load(ctx, vm.Limits{Slice: time.Second}, script); err != nil {
		return err
	}
	if len(s.cases) == 0 {
		return fmt.Errorf("%s: the file has no test.case(name, fn)", script.Name)
	}
	for _, tc := range s.cases {
		start := time.Now()
		err := s.runCase(ctx, o, tc)
		r := Result{Plugin: name, File: script.Name, Name: tc.name, Took: time.Since(start), Output: s.output.take()}
		if err != nil {
			r.Fault = strings.Join(append([]string{err.Error()}, vm.LuaTrace(err)...), "\n")
		}
		each(r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// runCase runs one test and closes everything that the test has started.
func (s *suite) runCase(ctx context.Context, o lua.Options, tc trialCase) error {
	t := newTrial(o, s.plugin)
	t.options.Doubles.Printed = s.output.add
	s.current = t
	defer func() { s.current = nil }()
	callCtx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	_, err := tc.fn.State().Call(callCtx, vm.Limits{Slice: 2 * time.Second}, tc.fn)
	if callCtx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("the test took longer than %v: %w", testTime, err)
	}
	closeCtx, cancelClose := context.WithTimeout(context.WithoutCancel(ctx), testTime)
	defer cancelClose()
	err = errors.Join(err, t.closeAll(closeCtx))
	if failed := t.takeFailures(0); err == nil && failed != nil && !t.excused {
		err = fmt.Errorf("the plugin has failed: %w", failed)
	}
	return err
}

func newTrial(o lua.Options, name string) *trial {
	t := &trial{
		name: name, clock: newClock(), log: &testLog{},
		meter: &meterDouble{values: map[string]float64{}}, resources: trialResources,
	}
	t.http, t.redis, t.amqp = &httpDouble{trial: t}, newRedisDouble(t.clock), newAMQPDouble(t.clock)
	t.options = lua.Options{
		Dir: o.Dir, Shipped: o.Shipped, Active: []string{name}, Log: t.log.logger(),
		Clock: t.clock, MatchStates: 1, MetaFields: o.MetaFields,
		Doubles: ns.Doubles{
			Counter: &peer.Counter{Running: t.clock.addBusy, Tasks: t.clock.addTasks},
			Random:  func() float64 { return 0.5 }, Transport: t.http, Started: processStart(),
			Redis: t.redis.connect, AMQP: t.amqp.connect, Failed: t.addFailure, ShowErrors: true,
		},
	}
	return t
}

// runUntilIdle runs f, which calls the plugin. It returns after f has ended and the
// plugin is idle.
func (t *trial) runUntilIdle(ctx context.Context, f func(ctx context.Context) error) (err error) {
	if err := t.clock.takeControl(); err != nil { // before f, because f may call handlers of the test
		return err
	}
	defer t.clock.releaseControl()
	t.clock.addBusy(1)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		err = f(ctx)
		close(done)
		t.clock.addBusy(-1)
	})
	driven := t.clock.drive(ctx, done, time.Time{})
	cancel()
	work.Wait()
	if driven != nil {
		return driven
	}
	return err
}

// addFailure records a failure of the plugin. It is the value of [ns.Doubles].Failed.
func (t *trial) addFailure(failure string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, failure)
}

// takeFailures removes all failures after the first n and returns the last of them. The
// caller returns it to the test, so it must not be reported again.
func (t *trial) takeFailures(n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failures) <= n {
		return nil
	}
	last := t.failures[len(t.failures)-1]
	t.failures = t.failures[:n]
	return errors.New(last)
}

func (t *trial) failureCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures)
}

// closeAll closes the plugins that are still open, and the doubles.
func (t *trial) closeAll(ctx context.Context) error {
	var faults []error
	for _, h := range slices.Backward(t.hosts) {
		faults = append(faults, t.runUntilIdle(ctx, h.Close))
	}
	t.hosts = nil
	t.amqp.close()
	if t.store != nil {
		t.store.memory.Close()
	}
	return errors.Join(faults...)
}
