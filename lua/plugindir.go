package lua

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A pluginDir is the folder of plugins as a file system. It follows symbolic links
// within the folder. It follows a link out of the folder only in the places of plugins
// and libraries: NAME.lua, NAME, NAME/init.lua, lib, lib/NAME.lua, lib/NAME and
// lib/NAME/init.lua. The target of such a link then counts as part of the folder.
type pluginDir struct {
	root *os.Root
	real string // the path of the folder, with all links resolved
}

// openPluginDir opens the folder. If the folder itself is a link, it is resolved only
// once, so that a later change of the link does not mix the files of two folders.
func openPluginDir(dir string) (*pluginDir, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(resolved)
	if err != nil {
		return nil, err
	}
	return &pluginDir{root, resolved}, nil
}

func (d *pluginDir) Close() error { return d.root.Close() }

// Open implements [fs.FS].
func (d *pluginDir) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := d.root.Open(filepath.FromSlash(name))
	if err == nil {
		return f, nil
	}
	outside, err := d.outside(name, err)
	if err != nil {
		return nil, err
	}
	return os.Open(outside)
}

// Stat implements [fs.StatFS]. Unlike Open, it does not block on a named pipe.
func (d *pluginDir) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	info, err := d.root.Stat(filepath.FromSlash(name))
	if err == nil {
		return info, nil
	}
	outside, err := d.outside(name, err)
	if err != nil {
		return nil, err
	}
	return os.Stat(outside)
}

// outside returns the target of a link that leads out of the folder, if such a link is
// allowed there. cause is the error of opening the file inside the folder.
func (d *pluginDir) outside(name string, cause error) (string, error) {
	if errors.Is(cause, fs.ErrNotExist) {
		return "", cause
	}
	file := filepath.Join(d.real, filepath.FromSlash(name))
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", fmt.Errorf("%s: a symbolic link leads out of the folder, to something that cannot be read: %v", file, err) //nolint:errorlint // the link exists, so the error must not match fs.ErrNotExist
	}
	if within(d.real, target) {
		return "", cause
	}
	for _, entry := range placesOfLinks(name) {
		linked, err := filepath.EvalSymlinks(filepath.Join(d.real, filepath.FromSlash(entry)))
		if err == nil && !within(linked, d.real) && within(linked, target) {
			return target, nil
		}
	}
	return "", fmt.Errorf("%s: is a symbolic link out of the folder, to %s; only a plugin (NAME.lua, NAME, NAME/init.lua) or a library (lib, lib/NAME) may be such a link", file, target)
}

// placesOfLinks returns those prefixes of name that may be links out of the folder.
func placesOfLinks(name string) []string {
	parts := strings.Split(name, "/")
	places := []string{parts[0]}
	first := 1
	if parts[0] == libFolder && len(parts) > 1 {
		places = append(places, strings.Join(parts[:2], "/"))
		first = 2
	}
	if len(parts) == first+1 && parts[first] == "init.lua" {
		places = append(places, name)
	}
	return places
}

// within reports whether file is dir or below dir.
func within(dir, file string) bool {
	rest, ok := strings.CutPrefix(file, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(dir, string(filepath.Separator)))
}

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
