package vm

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

var counterClass = &Class{
	Name: "Counter",
	Methods: []Function{
		{Name: "add", Run: func(c *Call) error { *c.Self().(*int) += c.Int(1); return c.Return(*c.Self().(*int)) }},
	},
	Operators: []Function{
		{Name: "+", Run: func(c *Call) error {
			n := *c.Object(1, theCounter).(*int) + *c.Object(2, theCounter).(*int)
			return c.Return(Object{theCounter, &n})
		}},
		{Name: "#", Run: func(c *Call) error { return c.Return(*c.Object(1, theCounter).(*int)) }},
	},
	Fields: []Value{{Name: "n", Get: func(c *Call) any { return *c.Self().(*int) }}},
}

// theCounter is counterClass. The initializer of counterClass uses it, because it
// cannot refer to counterClass itself.
var theCounter *Class

func init() { theCounter = counterClass }

// TestObjects checks methods, fields and operators of objects.
func TestObjects(t *testing.T) {
	lib := NewLibrary("test", Module{Classes: []*Class{counterClass}, Functions: []Function{
		{Name: "counter", Run: func(c *Call) error { n := c.IntOr(1, 0); return c.Return(Object{counterClass, &n}) }},
	}})
	s := lib.NewState(context.Background(), StateOptions{})
	defer s.Close(context.Background())
	f := func(body string, want any) {
		t.Helper()
		r, err := s.Call(context.Background(), Limits{}, loadFunction(t, s, `local ns = require('test') return function() local a = ns.counter(2) `+body+` end`))
		if fault, ok := want.(error); ok {
			if err == nil || !strings.Contains(err.Error(), fault.Error()) {
				t.Errorf("%s: %v, want %v", body, err, want)
			}
			return
		}
		if err != nil || !reflect.DeepEqual(r[0], want) {
			t.Errorf("%s: %v %v, want %v", body, r, err, want)
		}
	}
	f(`return a:add(3)`, 5.0)
	f(`a:add(1) return a.n`, 3.0)
	f(`return #(a + ns.counter(5))`, 7.0)
	f(`return tostring(a)`, "Counter")
	f(`return a.none`, errors.New(`Counter has no "none"`))
	f(`a.n = 5`, errors.New(`Counter is read-only: "n" cannot be set`))
	f(`return a.add(1)`, errors.New("call it with a colon"))
	f(`return a + 1`, errors.New("bad argument #2 (Counter expected, got number)"))
	f(`return a:add(1.5)`, errors.New("bad argument #1 (whole number expected, got 1.5)"))
	f(`return type(a)`, "userdata")
}

// TestConversions converts values from Go to Lua and back.
func TestConversions(t *testing.T) {
	s := newState(t)
	echo := loadFunction(t, s, `local ns = require('test') return function(v) return ns.echo(v) end`)
	f := func(in, want any) {
		t.Helper()
		r, err := s.Call(context.Background(), generous, echo, in)
		if err != nil {
			t.Errorf("%v: %v", in, err)
			return
		}
		if !reflect.DeepEqual(r[0], want) {
			t.Errorf("%#v became %#v, want %#v", in, r[0], want)
		}
	}
	f(nil, nil)
	f(true, true)
	f(int64(1<<53), float64(1<<53))
	f(int64(1<<53+1), Integer("9007199254740993"))
	f(int64(math.MinInt64), Integer("-9223372036854775808"))
	f(uint64(math.MaxUint64), Integer("18446744073709551615"))
	f(Integer("123456789012345678901234567890"), Integer("123456789012345678901234567890"))
	f([]byte{0, 255}, "\x00\xff")
	f([]string{"a"}, []any{"a"})
	f([]any{}, []any{})
	f([]string{}, []any{})
	f(map[string]any{}, Empty{})
	f([]any{nil, 1}, []any{Null{}, 1.0})
	f(map[string]any{"a": map[string]string{"b": "c"}, "n": nil}, map[string]any{"a": map[string]any{"b": "c"}})
	f(Null{}, Null{})
	f(float32(0.5), 0.5)
	bad := func(in any, want string) {
		t.Helper()
		if _, err := s.Call(context.Background(), generous, echo, in); err == nil || !errorContains(err, want) {
			t.Errorf("%T: %v, want %q", in, err, want)
		}
	}
	bad(struct{}{}, "cannot be converted to Lua")
	bad(strings.Repeat("x", MaxString+1), "longer than")
	bad(loadFunction(t, newState(t), "return function() end"), "belongs to another interpreter")
	deep := any("x")
	for range maxNesting + 2 {
		deep = []any{deep}
	}
	bad(deep, "nested deeper")
	wantError(t, `local t = {} t[1] = t ns.echo(t)`, "a cycle?")
	wantError(t, `ns.echo({1, nil, 3})`, "a hole in a list")
	wantError(t, `ns.echo({1, x = 2})`, "list without holes")
	wantError(t, `ns.echo({[1.5] = 2})`, "list without holes")
}

// TestDirectFields checks that a field with Direct reads like the same field without it: as
// an operand, an argument and a result, also where registers are beyond the top of the
// stack, and with an error of Get.
func TestDirectFields(t *testing.T) {
	failure := errors.New("the object has ended")
	class := &Class{Name: "Thing"}
	for name, value := range map[string]any{"yes": true, "no": false, "none": nil, "n": 1.5, "text": "abc", "list": []any{1.0, 2.0}, "ended": failure} {
		get := func(*Call) any { return value }
		class.Fields = append(class.Fields, Value{Name: name, Get: get, Direct: true}, Value{Name: "slow_" + name, Get: get})
	}
	lib := NewLibrary("test", Module{Classes: []*Class{class}, Functions: []Function{
		{Name: "thing", Run: func(c *Call) error { return c.Return(Object{class, 1}) }},
	}})
	s := lib.NewState(context.Background(), StateOptions{})
	defer s.Close(context.Background())
	body := `local test = require("test")
local t = test.thing()
local function show(...) local all = {} for i = 1, select("#", ...) do all[i] = tostring((select(i, ...))) end return table.concat(all, " ") end
local function deep(n, f) if n == 0 then return f() end local a, b, c = f(), n, deep(n - 1, f) return c end
local a, b = t.PREyes, t.PREno
local _, failed = pcall(function() return t.PREended end)
return {
  show(a, b, t.PREnone, t.PREn, t.PREtext, #t.PRElist, t.PREno, t.PREyes),
  deep(50, function() return show(t.PREn + t.PREn, t.PREtext .. t.PREtext, not t.PREno, t.PREno) end),
  tostring(failed),
}`
	read := func(prefix string) any {
		results, err := s.Call(context.Background(), Limits{}, loadFunction(t, s, "return function() "+strings.ReplaceAll(body, "PRE", prefix)+" end"))
		if err != nil {
			t.Fatal(err)
		}
		return results[0]
	}
	fast, slow := read(""), read("slow_")
	slow.([]any)[2] = strings.ReplaceAll(slow.([]any)[2].(string), "slow_", "")
	want := []any{"true false nil 1.5 abc 2 false true", "3 abcabc true false", slow.([]any)[2]}
	if !reflect.DeepEqual(fast, want) || !reflect.DeepEqual(slow, want) || !strings.Contains(want[2].(string), failure.Error()) {
		t.Errorf("got %q with Direct and %q without, want %q", fast, slow, want)
	}
}
