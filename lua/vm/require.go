package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// loading is the entry of a module in State.loaded while its body runs.
var loading = &glua.LUserData{}

// luaRequire is require. It returns the root module of the library, or a module
// that StateOptions.Resolve finds. The body of a module runs once per state, with
// the name as its argument. It must not wait, because another call could then
// require the unfinished module.
func luaRequire(l *glua.LState) int {
	name, ex := l.CheckString(1), executionOf(l)
	s := ex.state
	if name == s.lib.Root {
		l.Push(s.lib.root)
		return 1
	}
	if len(name) > freeTextBytes {
		l.RaiseError("module %q not found: its name has %d bytes, the maximum is %d", shorten(name), len(name), freeTextBytes)
	}
	if s.resolve == nil {
		l.RaiseError("module %q not found: only %q can be required here", name, s.lib.Root)
	}
	script, err := s.resolve(name, requiringFile(l, ex))
	if err != nil {
		l.RaiseError("module %q: %s", name, err.Error())
	}
	switch module := s.loaded[script.Name]; module {
	case nil:
	case loading:
		l.RaiseError("module %q requires itself", name)
	default:
		l.Push(module)
		return 1
	}
	s.loaded[script.Name] = loading
	before := ex.noWaitReason
	if before == "" {
		ex.noWaitReason = "waiting is not possible while module " + name + " is loading"
	}
	l.SetTop(1)
	n, err := protectedCall(l, ex, s.main.NewFunctionFromProto(script.proto), 1)
	ex.noWaitReason = before
	if err != nil {
		delete(s.loaded, script.Name)
		l.Error(raisedValue(err), 0)
	}
	module := glua.LValue(glua.LTrue)
	if n > 0 && l.Get(l.GetTop()-n+1) != glua.LNil {
		module = l.Get(l.GetTop() - n + 1)
	}
	s.loaded[script.Name] = module
	l.Push(module)
	return 1
}

// requiringFile returns the name of the script that called require, directly or as
// pcall(require, name). It returns "" if the caller is unknown.
func requiringFile(l *glua.LState, ex *execution) string {
	dbg, ok := l.GetStack(1)
	if !ok && ex.outer != nil { // pcall runs require on another thread
		l = ex.outer
		dbg, ok = l.GetStack(1)
	}
	if !ok {
		return ""
	}
	if _, err := l.GetInfo("S", dbg, glua.LNil); err != nil {
		return ""
	}
	return dbg.Source
}
