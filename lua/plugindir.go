package lua

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
		return "", fmt.Errorf("%s: a symbolic link leads out of the folder, to something that cannot be read: %v", file, err) //nolint:errorlint // it exists
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
