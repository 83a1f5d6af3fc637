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
)

type pluginNewCmd struct {
	Name string `arg:"" help:"Name of the plugin: letters, digits, _ and -."`
	Kind string `help:"What it is for: ${enum}." enum:"event,background,matching" required:""`
	pluginFlags
}

// Help is shown below the flags.
func (*pluginNewCmd) Help() string {
	return `Example:

    nearside plugin new slow_requests --kind event --dir plugins

It writes NAME.lua, NAME_test.lua, .luarc.json and library/ into the folder, and never over a file that somebody has written. .luarc.json and library/ are for editors only: version control may ignore them.`
}

// Run writes the files.
func (c *pluginNewCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	files, err := lua.Scaffold(c.Name, lua.Kind(c.Kind))
	if err != nil {
		return usagef("%v", err)
	}
	for _, taken := range []string{c.Name + ".lua", c.Name + "_test.lua", c.Name} {
		if _, err := os.Lstat(filepath.Join(o.Dir, taken)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already; nothing was written", filepath.Join(o.Dir, taken))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(o.Dir, filepath.FromSlash(name))
		if err := writeNew(path, files[name], strings.HasPrefix(name, lua.LibraryFolder+"/")); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(s.stdout, path); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(s.stdout, "\n.luarc.json and %s/ are for editors only: version control may ignore them\nnext: nearside plugin test --dir %s %s\n",
		lua.LibraryFolder, o.Dir, c.Name)
	return err
}

// writeNew writes a file. One that is there stays as it is, unless it is
// ours.
func writeNew(path, text string, ours bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // sources that others may read
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if ours {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644) //nolint:gosec // sources that others may read
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
