package lua

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A TestScript is a file with tests of a plugin.
type TestScript struct {
	Name string // for messages
	Text string
}

// TestScripts reads the tests of a plugin: name_test.lua beside the plugin and, if the
// plugin is a folder, all *_test.lua in it. It returns the name without ".lua". The
// error names the files that are missing or cannot be read; the other files are still
// returned.
func TestScripts(o Options, name string) (plugin string, scripts []TestScript, err error) {
	name = strings.TrimSuffix(name, ".lua")
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return name, nil, err
	}
	defer func() { err = errors.Join(err, found.close()) }()
	src, _, err := found.find(name)
	if err != nil {
		return name, nil, err
	}
	files, err := src.tests()
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("plugin %s: there is no %s", name, src.shown(name+"_test.lua"))
	}
	for _, file := range files {
		text, fault := src.read(file)
		if fault != nil {
			err = errors.Join(err, fault)
			continue
		}
		scripts = append(scripts, TestScript{Name: src.shown(file), Text: text})
	}
	return src.name, scripts, err
}

// tests returns the files with the plugin's tests.
func (s source) tests() ([]string, error) {
	var files []string
	if _, err := fs.Stat(s.files, s.name+"_test.lua"); err == nil {
		files = append(files, s.name+"_test.lua")
	}
	if s.dir == "" {
		return files, nil
	}
	err := fs.WalkDir(s.files, s.dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(file, "_test.lua") {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

// TestedPlugins returns the names of the plugins in files that have tests, sorted.
func TestedPlugins(files fs.FS) ([]string, error) {
	all, err := fs.Glob(files, "*_test.lua")
	if err != nil {
		return nil, err
	}
	inside, err := fs.Glob(files, "*/*_test.lua")
	var names []string
	for _, file := range append(all, inside...) {
		name := strings.TrimSuffix(file, "_test.lua")
		if dir := path.Dir(file); dir != "." {
			name = dir
		}
		if _, ok, err := (place{files: files}).findPlugin(name); err == nil && name != libFolder && ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}
