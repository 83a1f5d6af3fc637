package vm

import (
	"context"
	"errors"
	"fmt"
	"math"

	glua "github.com/yuin/gopher-lua"
)

// A Call is one call of a Function by a script. It is valid until Run
// returns. Its getters raise a Lua error that names the argument when the
// argument is of another kind; arguments count from 1.
type Call struct {
	l        *glua.LState
	task     *task
	f        *Function
	self     any
	skip     int // 1 in methods: the object comes first
	holding  int // bytes of Go values of the call: they live while it waits
	returned int
}

// badArgument unwinds Run; wrap turns it into a Lua error.
type badArgument struct{ message string }

// wrap makes a function of gopher-lua. Panics in Run become Lua errors, so
// that no mistake here ends the process or leaves the lock behind.
func (f Function) wrap() glua.LGFunction {
	return func(l *glua.LState) int {
		return f.run(&Call{l: l, task: taskOf(l), f: &f})
	}
}

func (f Function) wrapMethod(class *Class) glua.LGFunction {
	return func(l *glua.LState) int {
		c := &Call{l: l, task: taskOf(l), f: &f, skip: 1}
		if ud, ok := l.Get(1).(*glua.LUserData); ok {
			if o, ok := ud.Value.(Object); ok && o.Class == class {
				c.self = o.Value
				return f.run(c)
			}
		}
		l.RaiseError("%s:%s is a method: call it with a colon", class.Name, f.Name)
		return 0
	}
}

func (f *Function) run(c *Call) int {
	if err := f.guarded(c); err != nil {
		if errors.Is(err, ErrHost) {
			c.task.host = err
		}
		message := f.Name + ": " + err.Error()
		if where := c.l.Where(1); where == "" { // called by pcall itself
			c.l.Error(glua.LString(message), 0)
		}
		c.l.RaiseError("%s", message)
	}
	return c.returned
}

// guarded turns panics of Run into errors, but passes on those by which Lua
// itself unwinds.
func (f *Function) guarded(c *Call) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *glua.ApiError:
			panic(p) // Lua's own way to unwind
		case badArgument:
			err = errors.New(p.message)
		default:
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f.Run(c)
}

// Owner is what StateOptions.Owner was.
func (c *Call) Owner() any { return c.task.state.owner }

// State is the interpreter of the call.
func (c *Call) State() *State { return c.task.state }

// Self is the Go value of the object whose method is called.
func (c *Call) Self() any { return c.self }

// Args is the number of arguments.
func (c *Call) Args() int { return c.l.GetTop() - c.skip }

func (c *Call) get(i int) glua.LValue { return c.l.Get(i + c.skip) }

// Has reports whether argument i is there and not nil.
func (c *Call) Has(i int) bool { return c.get(i) != glua.LNil }

func (c *Call) bad(i int, want string) {
	got := c.get(i).Type().String()
	if i > c.Args() {
		got = "no value"
	}
	panic(badArgument{fmt.Sprintf("bad argument #%d (%s expected, got %s)", i, want, got)})
}

// Text is argument i, a string or a number, which may be a boxed integer.
func (c *Call) Text(i int) string {
	switch v := c.get(i).(type) {
	case glua.LString:
		return string(v)
	case glua.LNumber:
		return v.String()
	case *glua.LUserData:
		if n := boxed(v); n != "" {
			return string(n)
		}
	}
	c.bad(i, "string")
	return ""
}

// TextOr is Text, or other when the argument is nil or missing.
func (c *Call) TextOr(i int, other string) string {
	if !c.Has(i) {
		return other
	}
	return c.Text(i)
}

// Number is argument i, a number.
func (c *Call) Number(i int) float64 {
	if v, ok := c.get(i).(glua.LNumber); ok {
		return float64(v)
	}
	c.bad(i, "number")
	return 0
}

// NumberOr is Number, or other when the argument is nil or missing.
func (c *Call) NumberOr(i int, other float64) float64 {
	if !c.Has(i) {
		return other
	}
	return c.Number(i)
}

// Int is argument i, a whole number.
func (c *Call) Int(i int) int {
	f := c.Number(i)
	if f != math.Trunc(f) || math.Abs(f) > maxInteger {
		c.bad(i, "whole number")
	}
	return int(f)
}

// IntOr is Int, or other when the argument is nil or missing.
func (c *Call) IntOr(i, other int) int {
	if !c.Has(i) {
		return other
	}
	return c.Int(i)
}

// Bool is argument i as Lua sees truth: nil and false are false.
func (c *Call) Bool(i int) bool { return glua.LVAsBool(c.get(i)) }

// Func is argument i, a function.
func (c *Call) Func(i int) *Func {
	if fn, ok := c.get(i).(*glua.LFunction); ok {
		return &Func{c.task.state, fn}
	}
	c.bad(i, "function")
	return nil
}

// Value is argument i as a Go value: nil, bool, float64, Integer, string,
// []any, map[string]any, Empty, Null, Object or *Func.
func (c *Call) Value(i int) any {
	v, bytes, err := c.task.toGo(c.get(i))
	c.holding += bytes
	if err != nil {
		panic(badArgument{fmt.Sprintf("bad argument #%d (%v)", i, err)})
	}
	return v
}

// Map is argument i, a table with string keys; nil when it is nil or missing.
func (c *Call) Map(i int) map[string]any {
	if !c.Has(i) {
		return nil
	}
	switch v := c.Value(i).(type) {
	case map[string]any:
		return v
	case Empty:
		return map[string]any{}
	case []any:
		if len(v) == 0 {
			return map[string]any{}
		}
	}
	c.bad(i, "table with string keys")
	return nil
}

// List is argument i, a table that is a list.
func (c *Call) List(i int) []any {
	switch v := c.Value(i).(type) {
	case []any:
		return v
	case Empty:
		return nil
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	}
	c.bad(i, "list")
	return nil
}

// Object is the Go value of argument i, an object of class.
func (c *Call) Object(i int, class *Class) any {
	if ud, ok := c.get(i).(*glua.LUserData); ok {
		if o, ok := ud.Value.(Object); ok && o.Class == class {
			return o.Value
		}
	}
	c.bad(i, class.Name)
	return nil
}

// Return gives the script the results, as Go values (see Value; also ints,
// []byte, []string, map[string]string and func(*Call) error). Use it as
// `return c.Return(x)`.
func (c *Call) Return(results ...any) error {
	for _, r := range results {
		v, err := c.task.toLua(r)
		if err != nil {
			return err
		}
		c.l.Push(v)
		c.returned++
	}
	return nil
}

// Fail gives the script nil and the error's text: for failures that a script
// has to expect. A mistake of the script's author is returned as an error
// instead, and raised.
func (c *Call) Fail(err error) error { return c.Return(nil, err.Error()) }

// Wait runs f without the interpreter's lock: other calls run meanwhile. f
// must return when its context ends, and touches nothing of the Call. It
// returns f's error, or why the call was killed.
func (c *Call) Wait(f func(ctx context.Context) error) error {
	if !c.f.Waits {
		panic("the function is not declared to wait")
	}
	s := c.task.state
	s.holding += int64(c.holding)
	defer func() { s.holding -= int64(c.holding) }() // wait returns with the lock
	return c.task.wait(f)
}

// Invoke calls a Lua function from within Run, in the same call and budget.
// An error that Lua raised is passed on, not returned.
func (c *Call) Invoke(fn *Func, args ...any) ([]any, error) {
	top := c.l.GetTop()
	for _, arg := range args {
		v, err := c.task.toLua(arg)
		if err != nil {
			return nil, err
		}
		c.l.Push(v)
	}
	n, err := protectedCall(c.l, c.task, fn.value, top+1)
	if err != nil {
		c.l.SetTop(top)
		c.l.Error(raised(err), 0)
	}
	results := make([]any, n)
	for i := range results {
		if results[i], _, err = c.task.toGo(c.l.Get(c.l.GetTop() - n + 1 + i)); err != nil {
			return nil, err
		}
	}
	c.l.SetTop(top)
	return results, nil
}

// Ref is argument i as it is: the same table when it goes back to Lua.
func (c *Call) Ref(i int) *Ref { return &Ref{c.task.state, c.get(i)} }
