package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// openStandard fills the globals: functions of gopher-lua where they are
// bounded, our own where they are not. What is missing is missing on purpose:
// load*, dofile, io, debug, package, module, setfenv, getfenv, newproxy,
// collectgarbage, and of os all but time.
func (lib *Library) openStandard() {
	stock := stockFunctions()
	lib.env = newTable()
	lib.env.Metatable = newTable() // no script can write globals; see Compile
	set := func(name string, v glua.LValue) { lib.env.RawSetString(name, v) }
	for _, name := range []string{
		"error", "getmetatable", "ipairs", "next", "pairs", "rawequal",
		"rawget", "rawset", "select", "tonumber", "tostring", "type",
	} {
		set(name, lib.adopt(stock[""][name]))
	}
	for name, f := range map[string]glua.LGFunction{
		"assert": luaAssert, "pcall": luaPcall, "xpcall": luaXpcall, "unpack": luaUnpack, "setmetatable": luaSetmetatable,
		"print": luaPrint, "require": luaRequire, concatName: luaConcat,
	} {
		set(name, lib.goFunction(f))
	}
	for name, f := range lib.chargeBase(stock) {
		set(name, lib.goFunction(f))
	}
	lib.guard("", lib.env)
	text := lib.guard("string", lib.stringLib(stock["string"]))
	lib.stringMeta = newTable()
	lib.stringMeta.RawSetString("__index", text)
	lib.stringMeta.RawSetString("__metatable", glua.LFalse)
	lib.stringArithmetic()
	set("string", lib.readOnly("string", text, nil))
	set("table", lib.readOnly("table", lib.guard("table", lib.tableLib(stock["table"])), nil))
	set("math", lib.readOnly("math", lib.guard("math", lib.mathLib(stock["math"])), nil))
	set("os", lib.readOnly("os", lib.guard("os", lib.boundedOs(lib.functions(osLib()))), nil))
	set("coroutine", lib.readOnly("coroutine", lib.functions(coroutineLib(coroutineFuncs{
		create: stock["coroutine"]["create"].GFunction,
		resume: stock["coroutine"]["resume"].GFunction,
		status: stock["coroutine"]["status"].GFunction,
	})), nil))
	set("_VERSION", glua.LString("Lua 5.1"))
	set("_G", &glua.LUserData{Metatable: lib.sealed("_G", lib.env)})
}

// stockFunctions are gopher-lua's own, by library; "" is the base library.
func stockFunctions() map[string]map[string]*glua.LFunction {
	l := glua.NewState(glua.Options{SkipOpenLibs: true})
	defer l.Close()
	all := map[string]map[string]*glua.LFunction{}
	for name, open := range map[string]glua.LGFunction{
		"": glua.OpenBase, "string": glua.OpenString, "table": glua.OpenTable,
		"math": glua.OpenMath, "coroutine": glua.OpenCoroutine,
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

// luaAssert passes any error value on, as Lua does and gopher-lua does not.
func luaAssert(l *glua.LState) int {
	if glua.LVAsBool(l.CheckAny(1)) {
		return l.GetTop()
	}
	message := l.Get(2)
	if message == glua.LNil {
		message = glua.LString("assertion failed!")
	}
	l.Error(message, 0)
	return 0
}

// luaSetmetatable takes tables only; gopher-lua's would set the metatable of
// all numbers, functions or booleans.
func luaSetmetatable(l *glua.LState) int {
	t := l.CheckTable(1)
	l.CheckTypes(2, glua.LTNil, glua.LTTable)
	if old, ok := t.Metatable.(*glua.LTable); ok && !marked(t) && old.RawGetString("__metatable") != glua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	t.Metatable = l.Get(2)
	l.SetTop(1)
	return 1
}

func luaUnpack(l *glua.LState) int {
	t := l.CheckTable(1)
	from := l.OptInt(2, 1)
	to := l.OptInt(3, t.Len())
	if from > to {
		return 0
	}
	if uint64(to)-uint64(from) >= maxResults {
		l.RaiseError("unpack: more than %d results", maxResults)
	}
	taskOf(l).charge(l, (to-from)/4)
	for i := from; i <= to; i++ {
		l.Push(t.RawGetInt(i))
	}
	return to - from + 1
}

func luaPrint(l *glua.LState) int {
	var b strings.Builder
	for i := 1; i <= l.GetTop(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		addText(l, &b, l.ToStringMeta(l.Get(i)).String())
	}
	if p := taskOf(l).state.print; p != nil {
		p(b.String())
	}
	return 0
}

// luaConcat is the operator `..`: see rewriter.
func luaConcat(l *glua.LState) int {
	n := l.GetTop()
	total := 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case glua.LString:
			total += len(v)
		case glua.LNumber:
			total += 24 // at most
		default:
			return concatMeta(l, n)
		}
	}
	checkLength(l, total)
	taskOf(l).reserve(l, total)
	var b strings.Builder
	b.Grow(total)
	for i := 1; i <= n; i++ {
		b.WriteString(l.Get(i).String())
	}
	l.Push(trimmed(taskOf(l), &b))
	return 1
}

// concatMeta works from right to left, as the operator does, with __concat
// where an operand is no string.
func concatMeta(l *glua.LState, n int) int {
	result := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		if glua.LVCanConvToString(left) && glua.LVCanConvToString(result) {
			total := len(left.String()) + len(result.String())
			checkLength(l, total)
			taskOf(l).reserve(l, total)
			result = glua.LString(left.String() + result.String())
			continue
		}
		f := l.GetMetaField(left, "__concat")
		if f == glua.LNil {
			f = l.GetMetaField(result, "__concat")
		}
		if f == glua.LNil {
			culprit := left
			if glua.LVCanConvToString(left) {
				culprit = result
			}
			l.RaiseError("attempt to concatenate a %s value", culprit.Type())
		}
		l.Push(f)
		l.Push(left)
		l.Push(result)
		l.Call(2, 1)
		result = l.Get(-1)
		l.Pop(1)
	}
	l.Push(result)
	return 1
}

// checkLength refuses to make a string of n bytes when that is too long.
func checkLength(l *glua.LState, n int) {
	if n > MaxString {
		l.RaiseError("a string of %d bytes is longer than the %d allowed", n, MaxString)
	}
}
