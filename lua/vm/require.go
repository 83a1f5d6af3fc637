package vm

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// loading marks a module whose body runs.
var loading = &glua.LUserData{}

// luaRequire gives the library by its name, and neighbours of the script by
// "./name". A neighbour's body runs once per state and may not wait: a second
// task that asked for it meanwhile would get a half-made module.
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
	if !strings.HasPrefix(name, "./") || s.resolve == nil {
		l.RaiseError("module %q not found: there are %q and files of this plugin's folder (\"./name\")", name, s.lib.Root)
	}
	switch module := s.loaded[name]; module {
	case nil:
	case loading:
		l.RaiseError("module %q requires itself", name)
	default:
		l.Push(module)
		return 1
	}
	script, err := s.resolve(strings.TrimPrefix(name, "./"))
	if err != nil {
		l.RaiseError("module %q: %s", name, err.Error())
	}
	s.loaded[name] = loading
	before := t.noWait
	if before == "" {
		t.noWait = "waiting is not possible while module " + name + " is loading"
	}
	n, err := protectedCall(l, t, s.main.NewFunctionFromProto(script.proto), l.GetTop()+1)
	t.noWait = before
	if err != nil {
		delete(s.loaded, name)
		l.Error(raised(err), 0)
	}
	module := glua.LValue(glua.LTrue)
	if n > 0 && l.Get(l.GetTop()-n+1) != glua.LNil {
		module = l.Get(l.GetTop() - n + 1)
	}
	s.loaded[name] = module
	l.Push(module)
	return 1
}
