package vm

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	glua "github.com/yuin/gopher-lua"
)

// Bounds of one conversion between Lua and Go.
const (
	maxNesting = 64      // depth of tables in tables; this also ends cycles
	maxValues  = 1 << 20 // values in one conversion
	maxInteger = 1 << 53 // a float64 holds every integer up to this one exactly
)

// Null is JSON's null in Lua and Go. Unlike nil, it is a value: a table can hold
// it.
type Null struct{}

// Empty is a Lua table without entries. It can be used as a list or as a map.
type Empty struct{}

// A Ref is a reference to a Lua value of a state. Go does not look inside it.
type Ref struct {
	state *State
	value glua.LValue
}

// A Func is a Lua function of a state.
type Func Ref

// State returns the state that the function belongs to.
func (f *Func) State() *State { return f.state }

// An Object is a Go value that scripts see as a userdata with the methods of
// Class.
type Object struct {
	Class *Class
	Value any
}

// A Closure is a Go function that scripts can keep.
type Closure struct {
	Run   func(*Call) error
	Holds string // a text that Run needs; it counts as memory of the state
}

// A MethodTable is a table with fields, whose methods scripts call with a colon. The
// methods are in a metatable of its own, so loops over the table and encoders see only the
// fields. A method receives the table as argument 1.
type MethodTable struct {
	Fields  map[string]any
	Methods map[string]func(*Call) error
}

// converter does one conversion and counts its work.
type converter struct {
	state  *State // owner of functions; if nil, functions are refused
	values int    // values visited
	tables int    // tables made
	bytes  int    // bytes allocated
}

// toGo converts v to nil, bool, float64, Integer, string, []any, map[string]any,
// Empty, Null, Object, *Func or, for a coroutine, *Ref. A table must either be a
// list without holes or have only string keys.
func toGo(s *State, v glua.LValue) (any, error) {
	c := converter{state: s}
	return c.toGo(v, 0)
}

func (c *converter) toGo(v glua.LValue, depth int) (any, error) {
	if c.values++; c.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	switch v := v.(type) {
	case nil:
		return nil, errors.New("the interpreter returned no value")
	case *glua.LNilType:
		return nil, nil
	case glua.LBool:
		return bool(v), nil
	case glua.LNumber:
		return float64(v), nil
	case glua.LString:
		c.bytes += boxBytes
		return string(v), nil
	case *glua.LTable:
		if depth >= maxNesting {
			return nil, fmt.Errorf("tables are nested deeper than %d levels (a cycle?)", maxNesting)
		}
		return c.tableToGo(v, depth+1)
	case *glua.LUserData:
		switch value := v.Value.(type) {
		case Object:
			return value, nil
		case Null:
			return value, nil
		case Integer:
			return value, nil
		}
	case *glua.LFunction:
		if c.state != nil {
			return &Func{c.state, v}, nil
		}
	case *glua.LState:
		if c.state != nil {
			return &Ref{c.state, v}, nil
		}
	}
	return nil, fmt.Errorf("a %s cannot be passed to the host", v.Type())
}

func (c *converter) tableToGo(t *glua.LTable, depth int) (any, error) {
	n := t.Len()
	key, _ := t.Next(glua.LNil)
	if n > 0 {
		return c.listToGo(t, n, depth)
	}
	if key == glua.LNil {
		return emptyOf(t), nil
	}
	m := map[string]any{}
	c.bytes += sizeOfMapFor(len(layoutOf(t).strdict), 2*valueBytes)
	var err error
	t.ForEach(func(k, v glua.LValue) {
		if err != nil {
			return
		}
		name, ok := k.(glua.LString)
		if !ok {
			err = fmt.Errorf("key %s: a table must be a list without holes or have only string keys", k.String())
			return
		}
		value, e := c.toGo(v, depth)
		if e != nil {
			err = fmt.Errorf("%s: %w", string(name), e)
			return
		}
		m[string(name)] = value
	})
	return m, err
}

// fieldsOf converts the fields of a table with string keys one by one. A field
// that cannot be converted gets the error as its value.
func fieldsOf(s *State, t *glua.LTable) map[string]any {
	fields := map[string]any{}
	t.ForEach(func(k, v glua.LValue) {
		name, ok := k.(glua.LString)
		if !ok {
			return
		}
		value, err := toGo(s, v)
		if err != nil {
			value = err
		}
		fields[string(name)] = value
	})
	return fields
}

func (c *converter) listToGo(t *glua.LTable, n, depth int) (any, error) {
	list := make([]any, n)
	c.bytes += n * valueBytes
	for i := range list {
		item := t.RawGetInt(i + 1)
		if item == glua.LNil {
			return nil, fmt.Errorf("[%d]: a hole in a list", i+1)
		}
		value, err := c.toGo(item, depth)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i+1, err)
		}
		list[i] = value
	}
	if k, _ := t.Next(glua.LNumber(n)); k != glua.LNil {
		return nil, fmt.Errorf("key %s: a table must be a list without holes or have only string keys", k.String())
	}
	return list, nil
}

// toLua converts v to a new Lua value. Integers beyond 2^53 become boxed
// integers; see [Integer].
func (c *converter) toLua(v any, depth int) (glua.LValue, error) {
	if c.values++; c.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("values are nested deeper than %d levels", maxNesting)
	}
	switch v := v.(type) {
	case nil:
		return glua.LNil, nil
	case bool:
		return glua.LBool(v), nil
	case string:
		c.bytes += boxBytes
		return boundedString(v)
	case []byte:
		c.bytes += boxBytes + len(v)
		return boundedString(string(v))
	case float64:
		return glua.LNumber(v), nil
	case float32:
		return glua.LNumber(v), nil
	case int:
		return c.integerToLua(int64(v)), nil
	case int64:
		return c.integerToLua(v), nil
	case int32:
		return glua.LNumber(v), nil
	case uint64:
		if v > maxInteger {
			return c.state.boxInteger(Integer(strconv.FormatUint(v, 10))), nil
		}
		return glua.LNumber(v), nil
	case Integer:
		return c.state.boxInteger(v), nil
	case Null:
		return c.state.lib.null, nil
	case Empty:
		return &glua.LTable{Metatable: glua.LNil}, nil
	}
	return c.structureToLua(v, depth+1)
}

// structureToLua converts values that are not scalar.
func (c *converter) structureToLua(v any, depth int) (glua.LValue, error) {
	s := c.state
	c.tables++
	switch v := v.(type) {
	case map[string]any:
		t := s.main.CreateTable(0, len(v))
		c.bytes += tableBytes + len(v)*keyBytes
		for k, item := range v {
			value, err := c.toLua(item, depth)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			t.RawSetString(k, value)
		}
		return t, nil
	case map[string]string:
		t := s.main.CreateTable(0, len(v))
		c.bytes += tableBytes + len(v)*keyBytes
		for k, item := range v {
			t.RawSetString(k, glua.LString(item))
		}
		return t, nil
	case []any:
		return listToLua(c, v, depth)
	case []string:
		return listToLua(c, v, depth)
	case []float64:
		return listToLua(c, v, depth)
	case []map[string]any:
		return listToLua(c, v, depth)
	case *Func:
		return c.valueOf(v.state, v.value)
	case *Ref:
		return c.valueOf(v.state, v.value)
	case Object:
		return s.boxObject(v)
	case MethodTable:
		return c.methodTableToLua(v, depth)
	case func(*Call) error:
		return s.main.NewFunction(Function{Name: "?", Waits: true, Run: v}.wrapFunction()), nil
	case Closure:
		return s.main.NewClosure(Function{Name: "?", Waits: true, Run: v.Run}.wrapFunction(), glua.LString(v.Holds)), nil
	}
	return nil, fmt.Errorf("a %T cannot be converted to Lua", v)
}

func (c *converter) methodTableToLua(v MethodTable, depth int) (glua.LValue, error) {
	fields, err := c.toLua(v.Fields, depth)
	if err != nil {
		return nil, err
	}
	methods, meta := newTable(), newTable()
	for name, run := range v.Methods {
		methods.RawSetString(name, c.state.main.NewFunction(Function{Name: name, Waits: true, Run: run}.wrapFunction()))
	}
	meta.RawSetString("__index", methods)
	c.tables += 2
	c.bytes += 2*tableBytes + (len(v.Methods)+1)*keyBytes
	fields.(*glua.LTable).Metatable = meta
	return fields, nil
}

// valueOf returns v, a value of the state s. It fails if the conversion is for another
// state.
func (c *converter) valueOf(s *State, v glua.LValue) (glua.LValue, error) {
	if s != c.state {
		return nil, fmt.Errorf("the %s belongs to another interpreter", v.Type())
	}
	return v, nil
}

func listToLua[T any](c *converter, list []T, depth int) (glua.LValue, error) {
	if len(list) >= MaxArray {
		return nil, fmt.Errorf("the list has %d items, a table can hold at most %d", len(list), MaxArray-1)
	}
	t := c.state.main.CreateTable(len(list), 0)
	c.bytes += tableBytes + len(list)*valueBytes
	if len(list) == 0 {
		t.Metatable = listMark // so that toGo converts it to a list again
	}
	for i, item := range list {
		value, err := c.toLua(item, depth)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i+1, err)
		}
		if value == glua.LNil {
			value = c.state.lib.null // nil would leave a hole
		}
		t.RawSetInt(i+1, value)
	}
	return t, nil
}

func (c *converter) integerToLua(v int64) glua.LValue {
	if v > maxInteger || v < -maxInteger {
		return c.state.boxInteger(Integer(strconv.FormatInt(v, 10)))
	}
	return glua.LNumber(v)
}

func boundedString(s string) (glua.LValue, error) {
	if len(s) > MaxString {
		return nil, fmt.Errorf("a string of %d bytes is longer than the %d allowed", len(s), MaxString)
	}
	return glua.LString(s), nil
}

// wholeNumber reports whether f is an integer that a float64 holds exactly.
func wholeNumber(f float64) bool { return f == math.Trunc(f) && math.Abs(f) <= maxInteger }

// listMark and mapMark are metatables that mark a table as a list or a map, so
// that an empty table keeps its kind. They have no metamethods and scripts cannot
// reach them. setmetatable replaces them.
var listMark, mapMark = newMark(), newMark()

func isMarked(t *glua.LTable) bool { return t.Metatable == listMark || t.Metatable == mapMark }

func newMark() *glua.LTable {
	t := newTable()
	t.RawSetString("__metatable", glua.LFalse)
	return t
}

// emptyOf converts an empty table: to a list or a map if t is marked, else to
// Empty.
func emptyOf(t *glua.LTable) any {
	switch t.Metatable {
	case listMark:
		return []any{}
	case mapMark:
		return map[string]any{}
	}
	return Empty{}
}

// ReturnMarked marks argument i, a table without a metatable, as a list or a map
// and returns it to the script. An empty table keeps this kind when it is
// converted to Go.
func (c *Call) ReturnMarked(i int, list bool) error {
	t, ok := c.arg(i).(*glua.LTable)
	if !ok || t.Metatable != glua.LNil && !isMarked(t) {
		c.failArgument(i, "table without a metatable")
	}
	t.Metatable = mapMark
	if list {
		t.Metatable = listMark
	}
	c.l.Push(t)
	c.returned++
	return nil
}
