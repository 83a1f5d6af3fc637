package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"nearside/lua/vm"
)

// TrialRoot is the name by which tests of plugins require what they test with.
const TrialRoot = "nearside.test"

// trialTime bounds one test, in real time.
const trialTime = 30 * time.Second

// A TestResult is how one test of a plugin ended.
type TestResult struct {
	Plugin, File, Name string
	Took               time.Duration
	Fault              string // "file:line: reason"; empty: it passed
}

// A trial is one test of a plugin, with the doubles of all that a plugin can
// reach.
type trial struct {
	options Options // of the plugin's host
	name    string  // of the plugin
	clock   *trialClock
	http    *httpDouble
	redis   *redisDouble
	amqp    *amqpDouble
	log     *trialLog
	hosts   []*Host
	store   *storeDouble // nil before the first start
	local   *trialLocal
	meter   *meterDouble
	figures Resources

	mu       sync.Mutex
	failures []string             // of what nobody waits for, and of the matching side
	points   map[*instance]*inbox // of stored events

	excused bool // the test has asked for the plugin's failures
}

// suite is a file of tests: what the calls of its script belong to.
type suite struct {
	plugin  string
	cases   []trialCase
	current *trial // nil while the file is loading
}

type trialCase struct {
	name string
	run  *vm.Func
}

// now is the time of the current test.
func (s *suite) now() time.Time {
	if s.current == nil {
		return trialStartTime
	}
	return s.current.clock.Now()
}

// trialOf is the test whose script calls.
func trialOf(c *vm.Call) (*trial, error) {
	t := c.Owner().(*suite).current
	if t == nil {
		return nil, errors.New("only a test can do this, not the file around it")
	}
	return t, nil
}

// scriptLibrary is what the plugins of this host see.
func (h *Host) scriptLibrary() *vm.Library {
	if h.o.trial != nil {
		return doubledLibrary()
	}
	return library
}

// busy tells a test that n more tasks run.
func (h *Host) busy(n int) {
	if h.o.trial != nil {
		h.o.trial.clock.task(n)
	}
}

// transport is what ns.http sends requests with.
func (h *Host) transport(network http.RoundTripper) http.RoundTripper {
	if h.o.trial != nil {
		return h.o.trial.http
	}
	return network
}

// Test runs the tests of a plugin: name_test.lua beside it and, of a folder,
// all *_test.lua in it. each is told of every test when it has ended. The
// error says why tests could not run; a test that fails is none.
func Test(ctx context.Context, o Options, name string, each func(TestResult)) error {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".lua")
	src, _, err := found.find(name)
	if err != nil {
		return errors.Join(err, found.close())
	}
	faults := []error{}
	files, err := src.tests()
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("plugin %s: there is no %s", name, src.shown(name+"_test.lua"))
	}
	faults = append(faults, err)
	for _, file := range files {
		faults = append(faults, testFile(ctx, o, src, file, each))
	}
	return errors.Join(append(faults, found.close())...)
}

// tests returns the files with the plugin's tests.
func (s source) tests() ([]string, error) {
	var files []string
	if _, err := fs.Stat(s.files, s.name+"_test.lua"); err == nil {
		files = append(files, s.name+"_test.lua")
	}
	if s.dir == "" {
		return files, nil
	}
	err := fs.WalkDir(s.files, s.dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(file, "_test.lua") {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

// testFile runs the tests of one file, in the order in which it has them.
func testFile(ctx context.Context, o Options, src source, file string, each func(TestResult)) (err error) {
	text, err := src.read(file)
	if err != nil {
		return err
	}
	script, err := vm.Compile(src.shown(file), text, TrialRoot)
	if err != nil {
		return err
	}
	lib := trialLibrary()
	for _, use := range script.Uses {
		if !lib.Knows(use.Path) {
			err = errors.Join(err, fmt.Errorf("%s:%d: %s has no %q", script.Name, use.Line, TrialRoot, use.Path))
		}
	}
	if err != nil {
		return err
	}
	s := &suite{plugin: src.name}
	state := lib.NewState(ctx, vm.StateOptions{Owner: s, Print: func(string) {}, Time: trialTimeOf(s.now)})
	defer func() { err = errors.Join(err, state.Close(context.WithoutCancel(ctx))) }()
	if _, _, err := state.Load(ctx, vm.Limits{Slice: time.Second}, script); err != nil {
		return err
	}
	if len(s.cases) == 0 {
		return fmt.Errorf("%s: it has no test.case(name, fn)", script.Name)
	}
	for _, tc := range s.cases {
		start := time.Now()
		err := s.run(ctx, o, tc)
		r := TestResult{Plugin: src.name, File: script.Name, Name: tc.name, Took: time.Since(start)}
		if err != nil {
			r.Fault = err.Error()
		}
		each(r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// run runs one test and ends what it has started.
func (s *suite) run(ctx context.Context, o Options, tc trialCase) error {
	t := newTrial(o, s.plugin)
	s.current = t
	defer func() { s.current = nil }()
	calling, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	_, err := tc.run.State().Call(calling, vm.Limits{Slice: 2 * time.Second}, tc.run)
	if calling.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("it took longer than %v: %w", trialTime, err)
	}
	ending, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), trialTime)
	defer cancelEnd()
	err = errors.Join(err, t.end(ending))
	if failed := t.raise(0); err == nil && failed != nil && !t.excused {
		err = fmt.Errorf("the plugin has failed: %w", failed)
	}
	return err
}

func newTrial(o Options, name string) *trial {
	t := &trial{
		name: name, clock: newTrialClock(), log: &trialLog{},
		meter: &meterDouble{figures: map[string]float64{}}, figures: trialFigures,
	}
	t.http, t.redis, t.amqp = &httpDouble{trial: t}, newRedisDouble(t.clock), newAMQPDouble(t.clock)
	t.options = Options{
		Dir: o.Dir, Shipped: o.Shipped, Active: []string{name}, Log: t.log.logger(),
		Clock: t.clock, MatchStates: 1, trial: t,
	}
	return t
}

// do runs f, a call into the plugin, until it has ended and the plugin is at
// rest.
func (t *trial) do(ctx context.Context, f func(ctx context.Context) error) (err error) {
	if err := t.clock.take(); err != nil { // before f runs, which may call handlers of the test
		return err
	}
	defer t.clock.give()
	t.clock.add(1)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		err = f(ctx)
		close(done)
		t.clock.add(-1)
	})
	driven := t.clock.drive(ctx, done, time.Time{})
	cancel()
	work.Wait()
	if driven != nil {
		return driven
	}
	return err
}

// failed is told of what nobody waited for.
func (t *trial) failed(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, what)
}

// raise takes back the failures since there were n, and returns the last: it
// is raised, and so known to the test.
func (t *trial) raise(n int) error {
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

// end closes the plugins that are still open.
func (t *trial) end(ctx context.Context) error {
	var faults []error
	for _, h := range slices.Backward(t.hosts) {
		faults = append(faults, t.do(ctx, h.Close))
	}
	t.hosts = nil
	t.amqp.close()
	if t.store != nil {
		t.store.memory.Close()
	}
	return errors.Join(faults...)
}

// TestFiles returns the plugins of dir that have tests, by name.
func TestFiles(files fs.FS) ([]string, error) {
	all, err := fs.Glob(files, "*_test.lua")
	if err != nil {
		return nil, err
	}
	inside, err := fs.Glob(files, "*/*_test.lua")
	var names []string
	for _, file := range append(all, inside...) {
		name := strings.TrimSuffix(file, "_test.lua")
		if dir := path.Dir(file); dir != "." {
			name = dir
		}
		if _, ok, err := look(place{files: files}, name); err == nil && name != libFolder && ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}
