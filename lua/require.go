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

	"nearside/lua/vm"
)

// errNotDir: a path goes through a file as if it were a folder.
const errNotDir = syscall.ENOTDIR

// scripts are the files that a plugin of one generation has required. All of
// its states run the same text, also those that are made later.
type scripts struct {
	places []place

	mu     sync.Mutex
	byName map[string]required // as messages name the file
}

// required is a script and where it lies.
type required struct {
	*vm.Script
	place place
	file  string
}

// all returns the scripts by name.
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

// moduleName is one or several names of files and folders: no dots, so that
// nothing leads up.
var moduleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

// resolve finds what require(name) loads. "./x" lies beside the file that
// requires, which messages call from; "lib.x" or "lib/x" in the folder lib of
// the plugins' folder or, if it is not there, of the shipped plugins.
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
		return nil, fmt.Errorf(`not found: there are %q, %q (a library in the folder %s) and "./name" (a file beside the one that requires)`,
			Root, libFolder+".name", libFolder)
	}
	if module = strings.ReplaceAll(module, ".", "/"); !moduleName.MatchString(module) {
		return nil, fmt.Errorf("not the name of a library: names of letters, digits, _ and - behind %q, with dots or slashes between", libFolder+".")
	}
	return s.scripts.find(s.scripts.places, path.Join(libFolder, module))
}

// neighbour finds a file beside the one that messages call from, or, if that
// is unknown, beside the plugin's main file.
func (s source) neighbour(module, from string) (*vm.Script, error) {
	at, file := s.place, s.main
	if r, ok := s.scripts.get(from); ok {
		at, file = r.place, r.file
	}
	if file == s.main && s.dir == "" {
		return nil, errors.New("a plugin that is one file has no neighbours: make it a folder with init.lua, or put what plugins share into " + libFolder)
	}
	if !moduleName.MatchString(module) {
		return nil, fmt.Errorf("%q is not the name of a file in the folder of the file that requires, or in one below", module)
	}
	return s.scripts.find([]place{at}, path.Join(path.Dir(file), module))
}

func (s *scripts) get(name string) (required, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byName[name]
	return r, ok
}

// find returns the script in module.lua or module/init.lua, in the first place
// that has one of them.
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
