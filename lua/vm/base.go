package vm

import glua "github.com/yuin/gopher-lua"

// openStandard fills the globals: functions of gopher-lua where they are
// bounded, our own where they are not. What is missing is missing on purpose:
// load*, dofile, io, debug, package, module, setfenv, getfenv, newproxy,
// collectgarbage, and of os all but time.
func (lib *Library) openStandard() {
	stock := stockFunctions()
	lib.env = newTable()
	lib.env.Metatable = newTable() // no script can write globals; see Compile
	set := func(name string, v glua.LValue) { lib.env.RawSetString(name, v) }
	for _, name := range []string{"getmetatable", "ipairs", "type"} {
		set(name, lib.adopt(stock[""][name]))
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
	set("string", lib.standard("string", text))
	set("table", lib.standard("table", lib.tableLib(stock["table"])))
	set("math", lib.standard("math", lib.mathLib()))
	set("os", lib.standard("os", lib.functions(osLib())))
	coroutines := lib.functions(coroutineLib(coroutineFuncs{
		create: stock["coroutine"]["create"].GFunction,
		resume: stock["coroutine"]["resume"].GFunction,
		status: stock["coroutine"]["status"].GFunction,
	}))
	coroutines.RawSetString("yield", yieldFunction)
	set("coroutine", lib.standard("coroutine", coroutines))
	set("_VERSION", glua.LString("Lua 5.1"))
	lib.global = &glua.LUserData{Metatable: lib.sealed("_G", lib.env)}
	set("_G", lib.global)
}

// stockFunctions are gopher-lua's own, by library; "" is the base library.
func stockFunctions() map[string]map[string]*glua.LFunction {
	l := glua.NewState(glua.Options{SkipOpenLibs: true})
	defer l.Close()
	all := map[string]map[string]*glua.LFunction{}
	for name, open := range map[string]glua.LGFunction{
		"": glua.OpenBase, "table": glua.OpenTable,
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

// adopt gives a function of gopher-lua our globals in place of its own.
func (lib *Library) adopt(f *glua.LFunction) *glua.LFunction {
	f.Env = lib.env
	return f
}

func (lib *Library) pick(stock map[string]*glua.LFunction, names ...string) *glua.LTable {
	t := newTable()
	for _, name := range names {
		t.RawSetString(name, lib.adopt(stock[name]))
	}
	return t
}

func (lib *Library) functions(list map[string]glua.LGFunction) *glua.LTable {
	t := newTable()
	for name, f := range list {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}
