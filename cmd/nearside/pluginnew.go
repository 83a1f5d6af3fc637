package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nearside/lua"
	"nearside/lua/trial"
)

type pluginNewCmd struct {
	Name string   `arg:"" help:"Name of the plugin: letters, digits, _ and -."`
	Kind []string `help:"Kinds of the plugin, separated by commas: ${enum}." enum:"event,background,matching" required:"" placeholder:"KIND"`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginNewCmd) Help() string {
	return `Example:

    nearside plugin new slow_requests --kind event --dir plugins

It writes NAME.lua, NAME_test.lua, .luarc.json and library/ into the folder. It replaces only files of library/, which it generates itself. .luarc.json and library/ are for editors only; version control may ignore them.`
}

// Run writes the files.
func (c *pluginNewCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	kinds := make([]lua.Kind, len(c.Kind))
	for i, kind := range c.Kind {
		kinds[i] = lua.Kind(kind)
	}
	files, err := trial.Scaffold(c.Name, kinds...)
	if err != nil {
		return usagef("%v", err)
	}
	for _, taken := range []string{c.Name + ".lua", c.Name + "_test.lua", c.Name} {
		if _, err := os.Lstat(filepath.Join(o.Dir, taken)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s already exists; nothing was written", filepath.Join(o.Dir, taken))
		}
	}
	var created []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(o.Dir, filepath.FromSlash(name))
		written, err := writeNew(path, files[name], strings.HasPrefix(name, trial.LibraryFolder+"/"))
		created = append(created, written...)
		if err != nil {
			return errors.Join(err, removePaths(created))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := fmt.Fprintln(s.stdout, filepath.Join(o.Dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(s.stdout, "\n.luarc.json and %s/ are for editors only; version control may ignore them\nnext: nearside plugin test --dir %s %s\n",
		trial.LibraryFolder, o.Dir, c.Name)
	return err
}

// removePaths removes the paths that a command created before it failed, the last
// one first.
func removePaths(created []string) error {
	var errs []error
	for _, path := range slices.Backward(created) {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}

// makeFolder creates a folder and its parents, and returns those that did not exist.
func makeFolder(path string) (created []string, err error) {
	err = os.Mkdir(path, 0o755) //nolint:gosec // sources that others may read
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if created, err = makeFolder(filepath.Dir(path)); err != nil {
			return created, err
		}
		err = os.Mkdir(path, 0o755) //nolint:gosec // as above
	}
	if err == nil {
		return append(created, path), nil
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return created, nil
	}
	return created, err
}

// writeNew writes a file, and returns the file and the folders that did not exist
// before. It replaces an existing file only if the file is generated.
func writeNew(path, text string, generated bool) (created []string, err error) {
	if created, err = makeFolder(filepath.Dir(path)); err != nil {
		return created, err
	}
	_, statErr := os.Lstat(path)
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if generated {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644) //nolint:gosec // sources that others may read
	if errors.Is(err, fs.ErrExist) {
		return created, nil
	}
	if err != nil {
		return created, err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		created = append(created, path)
	}
	_, err = f.WriteString(text)
	return created, errors.Join(err, f.Close())
}
