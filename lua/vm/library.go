package vm

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// A Module is a set of functions for scripts. The module named "" is the root
// itself: its functions are root.name. Call makes a module a function too.
type Module struct {
	Name      string    // "kv"
	Doc       string    // one sentence
	Call      *Function // root.name(...); its own name is not used
	Functions []Function
	Values    []Value
	Classes   []*Class
}

// A Function of a module or a method of a class. A method's arguments begin
// after the object, which is Call.Self.
type Function struct {
	Name    string
	Params  []string // "key: string", "ttl?: number", "...: any", as in LuaCATS
	Returns []string // "string?", "string? err"
	Doc     string   // one sentence
	Waits   bool     // whether Run may call Call.Wait
	Run     func(c *Call) error
}

// A Value is a field of a module that is read, not called. Get is asked at
// each use, because a Library is shared by states with different owners.
type Value struct {
	Name, Type, Doc string
	Get             func(c *Call) any
}

// A Class gives Objects their methods and fields, whose values Get makes of
// Call.Self when they are read. Operators are methods named "+", "-",
// "*", "#", "==" or "tostring"; binary ones get both operands as arguments.
type Class struct {
	Name      string
	Doc       string
	Methods   []Function
	Fields    []Value
	Operators []Function
}

// A Library is what scripts see: the bounded standard library and, by
// require(root), the modules. It is immutable and shared by states.
type Library struct {
	Root    string
	Modules []Module // sorted by name

	env        *glua.LTable // the globals of every script; nothing can write them
	stringMeta *glua.LTable
	operators  map[*glua.LFunction]bool // functions that generated code calls for operators
	traceback  *glua.LFunction
	global     *glua.LUserData // _G
	root       *glua.LUserData
	null       *glua.LUserData
	integer    *glua.LTable // the metatable of boxed integers
	classes    map[*Class]*glua.LTable
	names      map[string]bool
}

// NewLibrary makes a Library. It panics when two modules or functions have
// one name: a mistake in the program.
func NewLibrary(root string, modules ...Module) *Library {
	modules = slices.Clone(modules)
	slices.SortStableFunc(modules, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	lib := &Library{Root: root, Modules: modules, classes: map[*Class]*glua.LTable{}, names: map[string]bool{}, operators: map[*glua.LFunction]bool{}}
	lib.null = &glua.LUserData{Value: Null{}, Metatable: lib.sealed("null", newTable())}
	lib.openStandard()
	lib.integer = lib.integerMeta()
	fields := newTable()
	dynamic := map[string]Value{}
	for _, m := range modules {
		target, values := fields, dynamic
		if m.Name != "" {
			target, values = newTable(), map[string]Value{}
		}
		for _, f := range m.Functions {
			lib.define(m.Name, f.Name)
			target.RawSetString(f.Name, lib.function(f))
		}
		for _, v := range m.Values {
			lib.define(m.Name, v.Name)
			values[v.Name] = v
		}
		for _, c := range m.Classes {
			lib.classes[c] = lib.classMeta(c)
		}
		if m.Name != "" {
			lib.define("", m.Name)
			fields.RawSetString(m.Name, lib.callable(m, lib.readOnly(root+"."+m.Name, target, values)))
		}
	}
	lib.root = lib.readOnly(root, fields, dynamic)
	return lib
}

// Knows reports whether path, "kv.get" or "conf.url", begins with a function
// or value of the library, or is a module. What is below a value is the
// value's own affair.
func (lib *Library) Knows(path string) bool {
	first, rest, deeper := strings.Cut(path, ".")
	isModule := slices.ContainsFunc(lib.Modules, func(m Module) bool { return m.Name == first })
	if !deeper || !isModule {
		return lib.names[first]
	}
	second, _, _ := strings.Cut(rest, ".")
	return lib.names[first+"."+second]
}

func (lib *Library) define(module, name string) {
	if module != "" {
		name = module + "." + name
	}
	if lib.names[name] {
		panic("vm: " + name + " is defined twice")
	}
	lib.names[name] = true
}

func newTable() *glua.LTable { return &glua.LTable{Metatable: glua.LNil} }

// function makes a function that states share: nothing writes to it.
func (lib *Library) function(f Function) *glua.LFunction { return lib.goFunction(f.wrap()) }

func (lib *Library) goFunction(f glua.LGFunction) *glua.LFunction {
	return &glua.LFunction{IsG: true, Env: lib.env, GFunction: f}
}

// readOnly is a view of fields that no script can write, not even by rawset:
// it is no table. Reading what it does not have is an error that names it.
func (lib *Library) readOnly(name string, fields *glua.LTable, values map[string]Value) *glua.LUserData {
	missing := newTable()
	missing.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		key := l.Get(2).String()
		v, ok := values[key]
		if !ok {
			l.RaiseError("%s has no %q", name, clip(key))
		}
		f := Function{Name: name + "." + key, Run: func(c *Call) error { return c.Return(v.Get(c)) }}
		return f.wrap()(l)
	}))
	fields.Metatable = missing
	return &glua.LUserData{Metatable: lib.sealed(name, fields)}
}

// callable lets scripts call a module that is a function too.
func (lib *Library) callable(m Module, ud *glua.LUserData) *glua.LUserData {
	if m.Call != nil {
		f := *m.Call
		f.Name = m.Name
		ud.Metatable.(*glua.LTable).RawSetString("__call", lib.goFunction(func(l *glua.LState) int {
			return f.run(&Call{l: l, task: taskOf(l), f: &f, skip: 1})
		}))
	}
	return ud
}

// standard is a table of the standard library that no script can write. What
// it does not have reads as nil, as in `table.unpack or unpack`.
func (lib *Library) standard(name string, fields *glua.LTable) *glua.LUserData {
	fields.Metatable = newTable()
	return &glua.LUserData{Metatable: lib.sealed(name, fields)}
}

// sealed is a metatable for userdata: reads go to fields, writes are errors,
// and scripts cannot get at it.
func (lib *Library) sealed(name string, fields *glua.LTable) *glua.LTable {
	meta := newTable()
	meta.RawSetString("__index", fields)
	meta.RawSetString("__newindex", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("%s is read-only: %q cannot be set", name, clip(l.Get(2).String()))
		return 0
	}))
	meta.RawSetString("__metatable", glua.LFalse)
	meta.RawSetString("__tostring", lib.goFunction(func(l *glua.LState) int {
		l.Push(glua.LString(name))
		return 1
	}))
	return meta
}

var operatorEvents = map[string]string{
	"+": "__add", "-": "__sub", "*": "__mul", "#": "__len", "==": "__eq", "tostring": "__tostring", "call": "__call",
}

func (lib *Library) classMeta(c *Class) *glua.LTable {
	methods := newTable()
	missing := newTable()
	missing.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("%s has no %q", c.Name, clip(l.Get(2).String()))
		return 0
	}))
	methods.Metatable = missing
	for _, m := range c.Methods {
		methods.RawSetString(m.Name, lib.goFunction(m.wrapMethod(c)))
	}
	meta := lib.sealed(c.Name, methods)
	if len(c.Fields) > 0 {
		meta.RawSetString("__index", lib.goFunction(c.index(methods)))
	}
	for _, op := range c.Operators {
		event, ok := operatorEvents[op.Name]
		if !ok {
			panic(fmt.Sprintf("vm: class %s: unknown operator %q", c.Name, op.Name))
		}
		meta.RawSetString(event, lib.function(op))
	}
	return meta
}

// index reads a field of an object, or one of its methods.
func (class *Class) index(methods *glua.LTable) glua.LGFunction {
	fields := map[string]Function{}
	for _, f := range class.Fields {
		fields[f.Name] = Function{Name: class.Name + "." + f.Name, Run: func(c *Call) error { return c.Return(f.Get(c)) }}
	}
	return func(l *glua.LState) int {
		key := l.Get(2)
		name, _ := key.(glua.LString)
		f, ok := fields[string(name)]
		if !ok {
			l.Push(l.GetTable(methods, key)) // an error for what it has not
			return 1
		}
		o := l.Get(1).(*glua.LUserData).Value.(Object)
		return f.run(&Call{l: l, task: taskOf(l), f: &f, self: o.Value})
	}
}

// object makes the userdata of o.
func (s *State) object(o Object) (glua.LValue, error) {
	meta := s.lib.classes[o.Class]
	if meta == nil {
		return nil, fmt.Errorf("class %s is not of this library", o.Class.Name)
	}
	return &glua.LUserData{Value: o, Env: s.lib.env, Metatable: meta}, nil
}
