package trial

import (
	"context"
	"errors"
	"strings"
	"time"

	"nearside/lua"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// A Repl evaluates lines of Lua in the first state of a running plugin, with the test doubles
// of plugin tests. One goroutine at a time may use it.
type Repl struct {
	trial *trial
	host  *lua.Host
	vars  *vm.Ref
	keep  func()
}

// evalSlice is the budget of a line, in time of Lua between two waits.
const evalSlice = 2 * time.Second

// NewRepl starts the plugin with the settings in o. printed is called for each line of
// print. The caller must call Close.
func NewRepl(ctx context.Context, o lua.Options, name string, printed func(line string)) (*Repl, error) {
	t := newTrial(o, name)
	t.http.always = true
	t.options.Settings, t.options.Doubles.Printed = o.Settings, printed
	r := &Repl{trial: t}
	err := t.connect(&t.options)
	if err == nil {
		err = t.runUntilIdle(ctx, func(ctx context.Context) (err error) {
			if r.host, err = lua.New(ctx, t.options); err == nil {
				t.hosts = append(t.hosts, r.host)
				r.host.ServerReady()
			}
			return err
		})
	}
	if err == nil {
		err = r.makeVars(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

// instance returns the state in which lines are evaluated.
func (r *Repl) instance() (*lua.Probe, *ns.Instance, error) {
	p, err := r.host.Probe()
	if err != nil {
		return nil, nil, err
	}
	in := p.Instance()
	if in == nil {
		return nil, nil, errors.New("the plugin has only a matching side, which has no state outside of requests: add the kind background")
	}
	return p, in, nil
}

// makeVars makes the table v, in which lines keep values.
func (r *Repl) makeVars(ctx context.Context) error {
	_, in, err := r.instance()
	if err != nil {
		return err
	}
	script, err := vm.Compile("v", "return {}", ns.Root)
	if err != nil {
		return err
	}
	ref, _, err := in.State.Load(ctx, vm.Limits{}, script)
	if err == nil {
		r.vars, r.keep = ref, in.State.Keep(ref)
	}
	return err
}

// Eval evaluates a line, which may be an expression or statements. It can use ns, M (the
// plugin's table) and v (a table for values of its own). Eval returns the results as text.
func (r *Repl) Eval(ctx context.Context, line string) (string, error) {
	p, in, err := r.instance()
	if err != nil {
		return "", err
	}
	if r.vars == nil {
		if err := r.makeVars(ctx); err != nil { // after a reload
			return "", err
		}
	}
	const head = "local ns, M, v = require('nearside'), ... "
	script, err := vm.Compile("line", "return function(...) "+head+"return "+line+"\nend", ns.Root)
	if err != nil {
		if script, err = vm.Compile("line", "return function(...) "+head+line+"\nend", ns.Root); err != nil {
			return "", err
		}
	}
	_, fn, err := in.State.Load(ctx, vm.Limits{}, script)
	if err != nil {
		return "", err
	}
	call, ok := fn.(*vm.Func)
	if !ok {
		return "", errors.New("the line is not complete")
	}
	var results []any
	err = r.trial.runUntilIdle(ctx, func(ctx context.Context) (err error) {
		results, err = in.Call(ctx, vm.Limits{Slice: evalSlice}, call, p.Table(), r.vars)
		return err
	})
	if err != nil {
		return "", errors.New(strings.Join(append([]string{err.Error()}, vm.LuaTrace(err)...), "\n"))
	}
	texts := make([]string, len(results))
	for i, v := range results {
		texts[i] = replValue(v)
	}
	return strings.Join(texts, "\t"), nil
}

// Advance moves the clock.
func (r *Repl) Advance(ctx context.Context, d time.Duration) error {
	return r.trial.clock.advance(ctx, d)
}

// Reload reloads the files of the plugin. The values in v are lost.
func (r *Repl) Reload(ctx context.Context) error {
	err := r.trial.runUntilIdle(ctx, r.host.Reload)
	if err == nil {
		r.vars = nil
	}
	return err
}

// Failures returns the failures of tasks and timers since the last call, or nil.
func (r *Repl) Failures() error { return r.trial.takeFailures(0) }

// Close ends the plugin.
func (r *Repl) Close(ctx context.Context) error {
	if r.keep != nil {
		r.keep()
	}
	return r.trial.closeAll(ctx)
}
