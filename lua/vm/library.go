package vm

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// A Module is a set of functions for scripts. The module with the empty name is
// the root module itself: its functions are root.name. Any other module is a field
// of the root module.
type Module struct {
	Name      string    // such as "kv"
	Doc       string    // one or more sentences, for editors
	Call      *Function // called by root.name(...), may be nil; its Name is not used
	Functions []Function
	Values    []Value
	Classes   []*Class
}

// A Function is a function of a module or a method of a class. The object of a
// method is Call.Self and not an argument.
type Function struct {
	Name    string
	Params  []string // "key: string", "ttl?: number", "...: any", as in LuaCATS
	Returns []string // "string?", "string? err"
	Doc     string   // one or more sentences, for editors
	Waits   bool     // whether Run may call Call.Wait
	Run     func(c *Call) error
}

// A Value is a field of a module that is not a function. Get is called at each
// read, because states with different owners share the Library. If Get returns an
// error, it is raised in the script.
type Value struct {
	Name, Type, Doc string
	Get             func(c *Call) any

	// Direct makes reads of a field of a class faster. Get must not panic, must not charge
	// for its work, and may run twice for a read that fails.
	Direct bool
}

// read returns the value of v to the script.
func (v Value) read(c *Call) error {
	value := v.Get(c)
	if err, failed := value.(error); failed {
		return err
	}
	return c.Return(value)
}

// A Class defines the methods, fields and operators of Objects. The Get function
// of a field returns its value for Call.Self. Operators are functions named "+",
// "-", "*", "#", "==", "tostring" or "call". A binary operator gets both operands
// as arguments.
type Class struct {
	Name      string
	Doc       string
	Methods   []Function
	Fields    []Value
	Operators []Function
}

// A Library holds the functions that scripts can use: the bounded standard library
// and the modules, which require(root) returns. It is immutable and shared by
// states.
type Library struct {
	Root    string   // the name of the root module
	Modules []Module // sorted by name

	env        *glua.LTable // the globals of every script; scripts cannot write them
	stringMeta *glua.LTable
	operators  map[*glua.LFunction]bool // functions that generated code calls for operators
	traceback  *glua.LFunction
	global     *glua.LUserData // _G
	root       *glua.LUserData
	null       *glua.LUserData
	integer    *glua.LTable // the metatable of boxed integers
	classes    map[*Class]*glua.LTable
	direct     map[*Class]map[string]Value // the fields with Value.Direct
	names      map[string]bool
}

// NewLibrary returns a Library. It panics if two modules or functions have the
// same name, because that is a mistake in the program.
func NewLibrary(root string, modules ...Module) *Library {
	modules = slices.Clone(modules)
	slices.SortStableFunc(modules, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	lib := &Library{Root: root, Modules: modules, classes: map[*Class]*glua.LTable{}, direct: map[*Class]map[string]Value{}, names: map[string]bool{}, operators: map[*glua.LFunction]bool{}}
	lib.null = &glua.LUserData{Value: Null{}, Metatable: lib.sealedMeta("null", newTable())}
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
			lib.defineName(m.Name, f.Name)
			target.RawSetString(f.Name, lib.sharedFunction(f))
		}
		for _, v := range m.Values {
			lib.defineName(m.Name, v.Name)
			values[v.Name] = v
		}
		for _, c := range m.Classes {
			lib.classes[c] = lib.classMeta(c)
		}
		if m.Name != "" {
			lib.defineName("", m.Name)
			fields.RawSetString(m.Name, lib.makeCallable(m, lib.readOnlyView(root+"."+m.Name, target, values)))
		}
	}
	lib.root = lib.readOnlyView(root, fields, dynamic)
	return lib
}

// Has reports whether path is a module of the library, or begins with a function
// or value of it. Examples are "kv.get" and "conf.url". It does not check the part
// of the path after a value.
func (lib *Library) Has(path string) bool {
	first, rest, deeper := strings.Cut(path, ".")
	isModule := slices.ContainsFunc(lib.Modules, func(m Module) bool { return m.Name == first })
	if !deeper || !isModule {
		return lib.names[first]
	}
	second, _, _ := strings.Cut(rest, ".")
	return lib.names[first+"."+second]
}

// defineName records a name. It panics if the name exists.
func (lib *Library) defineName(module, name string) {
	if module != "" {
		name = module + "." + name
	}
	if lib.names[name] {
		panic("vm: " + name + " is defined twice")
	}
	lib.names[name] = true
}

func newTable() *glua.LTable { return &glua.LTable{Metatable: glua.LNil} }

// sharedFunction returns a Lua function for f. States can share it, because nothing
// writes to it.
func (lib *Library) sharedFunction(f Function) *glua.LFunction {
	return lib.goFunction(f.wrapFunction())
}

// goFunction returns a Lua function for a gopher-lua function.
func (lib *Library) goFunction(f glua.LGFunction) *glua.LFunction {
	return &glua.LFunction{IsG: true, Env: lib.env, GFunction: f}
}

// valueUnits is the work of reading a Value, in addition to the work of converting
// it.
const valueUnits = 15

// readOnlyView returns a userdata through which scripts can read fields and values.
// Scripts cannot write it, even with rawset, because it is not a table. Reading a
// missing field raises an error that names the field.
func (lib *Library) readOnlyView(name string, fields *glua.LTable, values map[string]Value) *glua.LUserData {
	missing := newTable()
	missing.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		key := l.Get(2).String()
		v, ok := values[key]
		if !ok {
			l.RaiseError("%s has no %q", name, shorten(key))
		}
		f := Function{Name: name + "." + key, Run: func(c *Call) error {
			c.Charge(valueUnits)
			return v.read(c)
		}}
		return f.wrapFunction()(l)
	}))
	fields.Metatable = missing
	return &glua.LUserData{Metatable: lib.sealedMeta(name, fields)}
}

// makeCallable lets scripts call ud, the userdata of module m, if m has a Call. It
// returns ud.
func (lib *Library) makeCallable(m Module, ud *glua.LUserData) *glua.LUserData {
	if m.Call != nil {
		f := *m.Call
		f.Name = m.Name
		ud.Metatable.(*glua.LTable).RawSetString("__call", lib.goFunction(func(l *glua.LState) int {
			return f.runCall(&Call{l: l, exec: executionOf(l), f: &f, skip: 1})
		}))
	}
	return ud
}

// standardTable returns a read-only view of a table of the standard library. Unlike
// in a readOnlyView, a missing field reads as nil, as in `table.unpack or unpack`.
func (lib *Library) standardTable(name string, fields *glua.LTable) *glua.LUserData {
	fields.Metatable = newTable()
	return &glua.LUserData{Metatable: lib.sealedMeta(name, fields)}
}

// sealedMeta returns a metatable for userdata: reads go to fields and writes are
// errors. Scripts cannot reach the metatable.
func (lib *Library) sealedMeta(name string, fields *glua.LTable) *glua.LTable {
	meta := newTable()
	meta.RawSetString("__index", fields)
	meta.RawSetString("__newindex", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("%s is read-only: %q cannot be set", name, shorten(l.Get(2).String()))
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

// classMeta returns the metatable of the objects of c.
func (lib *Library) classMeta(c *Class) *glua.LTable {
	methods := newTable()
	missing := newTable()
	missing.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("%s has no %q", c.Name, shorten(l.Get(2).String()))
		return 0
	}))
	methods.Metatable = missing
	for _, m := range c.Methods {
		methods.RawSetString(m.Name, lib.goFunction(m.wrapMethod(c)))
	}
	meta := lib.sealedMeta(c.Name, methods)
	if len(c.Fields) > 0 {
		meta.RawSetString("__index", lib.goFunction(c.indexFunction(methods)))
		lib.direct[c] = c.directFields()
	}
	for _, op := range c.Operators {
		event, ok := operatorEvents[op.Name]
		if !ok {
			panic(fmt.Sprintf("vm: class %s: unknown operator %q", c.Name, op.Name))
		}
		meta.RawSetString(event, lib.sharedFunction(op))
	}
	return meta
}

// indexFunction returns the __index of a class with fields. It reads a field of an
// object, or else a method.
func (class *Class) indexFunction(methods *glua.LTable) glua.LGFunction {
	fields := map[string]Function{}
	for _, f := range class.Fields {
		fields[f.Name] = Function{Name: class.Name + "." + f.Name, Run: f.read}
	}
	return func(l *glua.LState) int {
		key := l.Get(2)
		name, _ := key.(glua.LString)
		f, ok := fields[string(name)]
		if !ok {
			l.Push(l.GetTable(methods, key)) // raises an error if there is no such method
			return 1
		}
		o, ex := l.Get(1).(*glua.LUserData).Value.(Object), executionOf(l)
		ex.fieldCall = Call{l: l, exec: ex, f: &f, self: o.Value}
		return f.runCall(&ex.fieldCall)
	}
}

// Box returns a reference to a new userdata for o. Passing the reference to Lua several
// times gives the same userdata.
func (c *Call) Box(o Object) (*Ref, error) {
	s := c.exec.state
	v, err := s.boxObject(o)
	if err != nil {
		return nil, err
	}
	return &Ref{s, v}, nil
}

// boxObject returns a new userdata for o.
func (s *State) boxObject(o Object) (glua.LValue, error) {
	meta := s.lib.classes[o.Class]
	if meta == nil {
		return nil, fmt.Errorf("class %s does not belong to this library", o.Class.Name)
	}
	return &glua.LUserData{Value: o, Env: s.lib.env, Metatable: meta}, nil
}
