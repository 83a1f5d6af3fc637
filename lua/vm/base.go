package vm

import glua "github.com/yuin/gopher-lua"

// openStandard sets the globals of scripts. It uses gopher-lua's functions where
// they are bounded and match Lua 5.1, and this package's functions otherwise.
// It leaves out load*, dofile, io, debug, package, module, setfenv, getfenv,
// newproxy and collectgarbage on purpose, and all of os except the time
// functions.
func (lib *Library) openStandard() {
	stock := stockFunctions()
	lib.env = newTable()
	lib.env.Metatable = newTable() // scripts cannot write globals; see Compile
	set := func(name string, v glua.LValue) { lib.env.RawSetString(name, v) }
	for _, name := range []string{"getmetatable", "ipairs", "type"} {
		set(name, lib.adoptFunction(stock[""][name]))
	}
	for name, f := range baseFunctions() {
		set(name, lib.goFunction(f))
	}
	for name, f := range operatorFunctions() {
		function := lib.goFunction(f)
		lib.operators[function] = true
		set(name, function)
	}
	lib.traceback = stock["debug"]["traceback"]
	text := lib.stringLib()
	lib.stringMeta = newTable()
	lib.stringMeta.RawSetString("__index", text)
	lib.stringMeta.RawSetString("__metatable", glua.LFalse)
	for event, f := range stringOperators() {
		function := lib.goFunction(f)
		lib.operators[function] = true
		lib.stringMeta.RawSetString(event, function)
	}
	set("string", lib.standardTable("string", text))
	set("table", lib.standardTable("table", lib.tableLib()))
	set("math", lib.standardTable("math", lib.mathLib()))
	set("os", lib.standardTable("os", lib.functionTable(osLib())))
	coroutines := lib.functionTable(coroutineLib(coroutineFuncs{
		create: stock["coroutine"]["create"].GFunction,
		resume: stock["coroutine"]["resume"].GFunction,
		status: stock["coroutine"]["status"].GFunction,
	}))
	coroutines.RawSetString("yield", yieldFunction)
	set("coroutine", lib.standardTable("coroutine", coroutines))
	set("_VERSION", glua.LString("Lua 5.1"))
	lib.global = &glua.LUserData{Metatable: lib.sealedMeta("_G", lib.env)}
	set("_G", lib.global)
}

// stockFunctions returns gopher-lua's functions by library and name. "" is the
// base library.
func stockFunctions() map[string]map[string]*glua.LFunction {
	l := glua.NewState(glua.Options{SkipOpenLibs: true})
	defer l.Close()
	all := map[string]map[string]*glua.LFunction{}
	for name, open := range map[string]glua.LGFunction{
		"":          glua.OpenBase,
		"coroutine": glua.OpenCoroutine, "debug": glua.OpenDebug,
	} {
		l.Push(l.NewFunction(open))
		l.Call(0, 1)
		functions := map[string]*glua.LFunction{}
		l.Get(-1).(*glua.LTable).ForEach(func(k, v glua.LValue) {
			if f, ok := v.(*glua.LFunction); ok {
				functions[k.String()] = f
			}
		})
		all[name] = functions
		l.Pop(1)
	}
	return all
}

// adoptFunction replaces the globals of a gopher-lua function with those of lib.
func (lib *Library) adoptFunction(f *glua.LFunction) *glua.LFunction {
	f.Env = lib.env
	return f
}

// functionTable returns a table with a Lua function for each entry of list.
func (lib *Library) functionTable(list map[string]glua.LGFunction) *glua.LTable {
	t := newTable()
	for name, f := range list {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}
