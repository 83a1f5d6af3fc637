package vm

import (
	"context"
	"errors"
	"fmt"
	"math"

	glua "github.com/yuin/gopher-lua"
)

// A Call is one call of a Function by a script. It is valid until Run returns.
// Arguments are numbered from 1. If an argument has the wrong type, the getter
// raises a Lua error that names the argument.
type Call struct {
	l         *glua.LState
	exec      *execution
	f         *Function
	self      any
	skip      int // arguments before argument 1: 1 in methods, for the object
	heldBytes int // bytes of Go values that the call keeps while it waits
	returned  int // results that were pushed
}

// badArgument is the panic by which a getter ends Run. runRecovering turns it
// into an error.
type badArgument struct{ message string }

// wrapFunction converts f to a gopher-lua function. Panics in Run become Lua errors,
// so a fault in Run neither ends the process nor keeps the state locked.
func (f Function) wrapFunction() glua.LGFunction {
	return func(l *glua.LState) int {
		return f.runCall(&Call{l: l, exec: executionOf(l), f: &f})
	}
}

// wrapMethod is wrapFunction for a method of class. It checks the object.
func (f Function) wrapMethod(class *Class) glua.LGFunction {
	return func(l *glua.LState) int {
		c := &Call{l: l, exec: executionOf(l), f: &f, skip: 1}
		if ud, ok := l.Get(1).(*glua.LUserData); ok {
			if o, ok := ud.Value.(Object); ok && o.Class == class {
				c.self = o.Value
				return f.runCall(c)
			}
		}
		l.RaiseError("%s:%s is a method: call it with a colon", class.Name, f.Name)
		return 0
	}
}

// runCall runs f and returns the number of results. It raises the error of Run in the
// script.
func (f *Function) runCall(c *Call) int {
	if err := f.runRecovering(c); err != nil {
		if errors.Is(err, ErrHost) {
			c.exec.hostError = err
		}
		message := f.Name + ": " + err.Error()
		raise(c.l, message)
	}
	return c.returned
}

// raise raises an error whose text begins with the position of the script, if it is known.
func raise(l *glua.LState, message string) {
	if l.Where(1) == "" { // pcall called the function directly
		l.Error(glua.LString(message), 0)
	}
	l.RaiseError("%s", message)
}

// runRecovering calls Run and turns its panics into errors. It does not recover
// the panics by which gopher-lua raises errors.
func (f *Function) runRecovering(c *Call) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *glua.ApiError:
			panic(p) // gopher-lua raises an error
		case badArgument:
			err = errors.New(p.message)
		default:
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f.Run(c)
}

// Owner returns the value of StateOptions.Owner.
func (c *Call) Owner() any { return c.exec.state.owner }

// State returns the state in which the call runs.
func (c *Call) State() *State { return c.exec.state }

// Self returns the Go value of the object whose method is called.
func (c *Call) Self() any { return c.self }

// Args returns the number of arguments.
func (c *Call) Args() int { return c.l.GetTop() - c.skip }

func (c *Call) arg(i int) glua.LValue { return c.l.Get(i + c.skip) }

// Has reports whether argument i was passed and is not nil.
func (c *Call) Has(i int) bool { return c.arg(i) != glua.LNil }

// failArgument panics with an error that names argument i and the wanted type.
func (c *Call) failArgument(i int, want string) {
	got := c.arg(i).Type().String()
	if i > c.Args() {
		got = "no value"
	}
	panic(badArgument{fmt.Sprintf("bad argument #%d (%s expected, got %s)", i, want, got)})
}

// Text returns argument i as text. The argument is a string, a number or a boxed
// integer.
func (c *Call) Text(i int) string {
	switch v := c.arg(i).(type) {
	case glua.LString:
		return string(v)
	case glua.LNumber:
		return v.String()
	case *glua.LUserData:
		if n := boxedInteger(v); n != "" {
			return string(n)
		}
	}
	c.failArgument(i, "string")
	return ""
}

// TextOr is like Text, but returns other if the argument is nil or missing.
func (c *Call) TextOr(i int, other string) string {
	if !c.Has(i) {
		return other
	}
	return c.Text(i)
}

// Number returns argument i, which must be a number.
func (c *Call) Number(i int) float64 {
	if v, ok := c.arg(i).(glua.LNumber); ok {
		return float64(v)
	}
	c.failArgument(i, "number")
	return 0
}

// NumberOr is like Number, but returns other if the argument is nil or missing.
func (c *Call) NumberOr(i int, other float64) float64 {
	if !c.Has(i) {
		return other
	}
	return c.Number(i)
}

// Int returns argument i, which must be a whole number from -2^53 to 2^53.
func (c *Call) Int(i int) int {
	f := c.Number(i)
	if f != math.Trunc(f) || math.Abs(f) > maxInteger {
		panic(badArgument{fmt.Sprintf("bad argument #%d (whole number expected, got %s)", i, numberText(f))})
	}
	return int(f)
}

// Count returns argument i, which must be a whole number from minimum to 2^53.
func (c *Call) Count(i, minimum int) int {
	n := c.Int(i)
	if n < minimum {
		panic(badArgument{fmt.Sprintf("bad argument #%d (a whole number from %d expected, got %d)", i, minimum, n)})
	}
	return n
}

// IntOr is like Int, but returns other if the argument is nil or missing.
func (c *Call) IntOr(i, other int) int {
	if !c.Has(i) {
		return other
	}
	return c.Int(i)
}

// Bool returns the truth of argument i: nil and false are false, all other
// values are true.
func (c *Call) Bool(i int) bool { return glua.LVAsBool(c.arg(i)) }

// Func returns argument i, which must be a function.
func (c *Call) Func(i int) *Func {
	if fn, ok := c.arg(i).(*glua.LFunction); ok {
		return &Func{c.exec.state, fn}
	}
	c.failArgument(i, "function")
	return nil
}

// Value returns argument i as a Go value: nil, bool, float64, Integer, string,
// []any, map[string]any, Empty, Null, Object, *Func or, for a coroutine, *Ref.
func (c *Call) Value(i int) any {
	v, bytes, err := c.exec.toGo(c.arg(i))
	c.heldBytes += bytes
	if err != nil {
		panic(badArgument{fmt.Sprintf("bad argument #%d (%v)", i, err)})
	}
	return v
}

// IsObject reports whether argument i is an object of class.
func (c *Call) IsObject(i int, class *Class) bool {
	ud, ok := c.arg(i).(*glua.LUserData)
	if !ok {
		return false
	}
	o, ok := ud.Value.(Object)
	return ok && o.Class == class
}

// Map returns argument i, which must be a table with string keys. It returns nil
// if the argument is nil or missing.
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
	c.failArgument(i, "table with string keys")
	return nil
}

// List returns argument i, which must be a table that is a list.
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
	c.failArgument(i, "list")
	return nil
}

// Object returns the Go value of argument i, which must be an object of class.
func (c *Call) Object(i int, class *Class) any {
	if !c.IsObject(i, class) {
		c.failArgument(i, class.Name)
	}
	return c.arg(i).(*glua.LUserData).Value.(Object).Value
}

// Return passes results to the script. They are Go values as for Value, or
// integers of other types, []byte, []string, []float64, map[string]string,
// Closure or func(*Call) error. Use it as `return c.Return(x)`.
func (c *Call) Return(results ...any) error {
	for _, r := range results {
		v, err := c.exec.toLua(r)
		if err != nil {
			return err
		}
		c.l.Push(v)
		c.returned++
	}
	return nil
}

// Fail returns nil and the text of err to the script. Use it for failures that
// a script must expect. For a mistake of the script's author, Run returns the
// error instead, and it is raised.
func (c *Call) Fail(err error) error { return c.Return(nil, err.Error()) }

// Wait runs f without the state's lock, so that other calls can run. f must
// return when its context ends, and must not use the Call. Wait returns the
// error of f, or the reason why the call was killed.
func (c *Call) Wait(f func(ctx context.Context) error) error {
	if !c.f.Waits {
		panic("the function is not declared to wait")
	}
	s := c.exec.state
	s.heldBytes += int64(c.heldBytes)
	defer func() { s.heldBytes -= int64(c.heldBytes) }() // c.exec.wait takes the lock again before it returns
	return c.exec.wait(f)
}

// Invoke calls a Lua function from within Run. The function uses the budget of
// this call. If it raises an error, Invoke raises that error in the calling
// script and does not return.
func (c *Call) Invoke(fn *Func, args ...any) ([]any, error) {
	top := c.l.GetTop()
	for _, arg := range args {
		v, err := c.exec.toLua(arg)
		if err != nil {
			return nil, err
		}
		c.l.Push(v)
	}
	n, err := protectedCall(c.l, c.exec, fn.value, top+1)
	if err != nil {
		c.l.SetTop(top)
		c.l.Error(raisedValue(err), 0)
	}
	results := make([]any, n)
	for i := range results {
		if results[i], _, err = c.exec.toGo(c.l.Get(c.l.GetTop() - n + 1 + i)); err != nil {
			return nil, err
		}
	}
	c.l.SetTop(top)
	return results, nil
}

// InvokeFirst is Invoke for a caller that needs only the first result; nil: there is none. It
// is faster, and results that cannot be converted are still an error.
func (c *Call) InvokeFirst(fn *Func, args ...any) (first any, err error) {
	p := beginProtected(c.l, c.exec, fn.value)
	for _, arg := range args {
		v, err := c.exec.toLua(arg)
		if err != nil {
			p.end()
			return nil, err
		}
		p.thread.Push(v)
	}
	if err := p.run(len(args)); err != nil {
		c.l.Error(raisedValue(err), 0)
	}
	for i := range p.thread.GetTop() {
		result, _, err := c.exec.toGo(p.thread.Get(i + 1))
		if err != nil {
			return nil, err // the thread is not reused
		}
		if i == 0 {
			first = result
		}
	}
	c.exec.state.putThread(p.thread)
	return first, nil
}

// Ref returns a reference to argument i. Passing the reference back to Lua gives
// the same value, not a copy.
func (c *Call) Ref(i int) *Ref { return &Ref{c.exec.state, c.arg(i)} }
