package lua

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

// errNotDir is the error for a path that uses a file as if it were a folder.
const errNotDir = syscall.ENOTDIR

// scripts holds the files that a plugin of one generation has required. All states of
// the plugin run the same text, including states that are created later.
type scripts struct {
	places []place

	mu     sync.Mutex
	byName map[string]required // the keys are names as place.shown returns them
}

// required is a script and its location.
type required struct {
	*vm.Script
	place place
	file  string
}

// all returns the scripts, sorted by name.
func (s *scripts) all() []*vm.Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*vm.Script
	for _, r := range s.byName {
		list = append(list, r.Script)
	}
	slices.SortFunc(list, func(a, b *vm.Script) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// moduleName matches one or more names of files and folders, separated by slashes. It
// allows no dots, so that a path cannot lead to a parent folder.
var moduleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

// resolve returns the script that require(name) loads. "./x" is in the folder of the
// file that calls require; from is the name of that file in messages. "lib.x" and
// "lib/x" are in the folder lib of the plugins' folder or, if they are missing there,
// in the folder lib of the shipped plugins.
func (s source) resolve(name, from string) (*vm.Script, error) {
	if module, ok := strings.CutPrefix(name, "./"); ok {
		return s.neighbour(strings.TrimSuffix(module, ".lua"), from)
	}
	module, ok := strings.CutPrefix(name, libFolder+"/")
	if ok {
		module = strings.TrimSuffix(module, ".lua")
	} else {
		module, ok = strings.CutPrefix(name, libFolder+".")
	}
	if !ok {
		return nil, fmt.Errorf(`not found: require accepts %q, %q (a library in the folder %s) and "./name" (a file in the folder of the file that calls require)`,
			ns.Root, libFolder+".name", libFolder)
	}
	if module = strings.ReplaceAll(module, ".", "/"); !moduleName.MatchString(module) {
		return nil, fmt.Errorf("not the name of a library: after %q, write names of letters, digits, _ and -, separated by dots or slashes", libFolder+".")
	}
	return s.scripts.find(s.scripts.places, path.Join(libFolder, module))
}

// neighbour returns a script in the folder of the file that calls require. from is the
// name of that file in messages. If from is unknown, neighbour uses the folder of the
// plugin's main file.
func (s source) neighbour(module, from string) (*vm.Script, error) {
	at, file := s.place, s.main
	if r, ok := s.scripts.get(from); ok {
		at, file = r.place, r.file
	}
	if file == s.main && s.dir == "" {
		return nil, errors.New("a plugin that is a single file cannot require other files: make it a folder with init.lua, or put the file into the folder " + libFolder)
	}
	if !moduleName.MatchString(module) {
		return nil, fmt.Errorf("%q is not the name of a file in the folder of the file that calls require, or in a folder below it", module)
	}
	return s.scripts.find([]place{at}, path.Join(path.Dir(file), module))
}

func (s *scripts) get(name string) (required, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byName[name]
	return r, ok
}

// find returns the script module.lua or module/init.lua from the first place that has
// one of them.
func (s *scripts) find(places []place, module string) (*vm.Script, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, p := range places {
		for _, file := range []string{module + ".lua", path.Join(module, "init.lua")} {
			name := p.shown(file)
			if r, ok := s.byName[name]; ok {
				return r.Script, nil
			}
			switch ok, err := p.exists(file); {
			case err != nil:
				return nil, err
			case !ok:
				missing = append(missing, name)
				continue
			}
			script, err := p.compile(file)
			if err != nil {
				return nil, err
			}
			if s.byName == nil {
				s.byName = map[string]required{}
			}
			s.byName[name] = required{script, p, file}
			return script, nil
		}
	}
	return nil, fmt.Errorf("no such file: %s", strings.Join(missing, ", "))
}
