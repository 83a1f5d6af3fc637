package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// loading marks a module whose body runs.
var loading = &glua.LUserData{}

// luaRequire returns the library by its name, and other modules as
// StateOptions.Resolve finds them. A module's body runs once per state, with
// the name as its argument. It may not wait: a second task that requires the
// module meanwhile would get an unfinished one.
func luaRequire(l *glua.LState) int {
	name, t := l.CheckString(1), taskOf(l)
	s := t.state
	if name == s.lib.Root {
		l.Push(s.lib.root)
		return 1
	}
	if len(name) > longText {
		l.RaiseError("module %q not found: its name is too long", clip(name))
	}
	if s.resolve == nil {
		l.RaiseError("module %q not found: only %q can be required here", name, s.lib.Root)
	}
	script, err := s.resolve(name, requiringFile(l, t))
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
	before := t.noWait
	if before == "" {
		t.noWait = "waiting is not possible while module " + name + " is loading"
	}
	l.SetTop(1)
	n, err := protectedCall(l, t, s.main.NewFunctionFromProto(script.proto), 1)
	t.noWait = before
	if err != nil {
		delete(s.loaded, script.Name)
		l.Error(raised(err), 0)
	}
	module := glua.LValue(glua.LTrue)
	if n > 0 && l.Get(l.GetTop()-n+1) != glua.LNil {
		module = l.Get(l.GetTop() - n + 1)
	}
	s.loaded[script.Name] = module
	l.Push(module)
	return 1
}

// requiringFile is the name of the script that calls require, directly or by
// pcall(require, name). It is "" when neither is so.
func requiringFile(l *glua.LState, t *task) string {
	dbg, ok := l.GetStack(1)
	if !ok && t.outer != nil { // pcall runs require on a thread of its own
		l = t.outer
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
