package lua

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// shippedLabel stands for the folder of shipped plugins in messages.
const shippedLabel = "shipped"

// libFolder is the folder of libraries that all plugins share. It is not a plugin.
const libFolder = "lib"

var pluginName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

// CheckPluginName returns an error if name cannot be the name of a plugin.
func CheckPluginName(name string) error {
	switch {
	case !pluginName.MatchString(name):
		return fmt.Errorf("%q is not a valid name of a plugin: use up to 64 letters, digits, _ and -", name)
	case strings.HasSuffix(name, "_test"):
		return fmt.Errorf("%q is not a valid name of a plugin: files that end with _test.lua are tests", name)
	case name == libFolder:
		return fmt.Errorf("%q is not a valid name of a plugin: the folder %s holds libraries for all plugins", name, libFolder)
	}
	return nil
}

// A place is a file system with plugins and libraries.
type place struct {
	files fs.FS
	label string // the prefix of file names in messages: the folder, or "shipped"
}

// shown returns the name of a file for messages.
func (p place) shown(file string) string { return path.Join(p.label, file) }

// exists reports whether file exists. It returns an error if file is not regular.
func (p place) exists(file string) (bool, error) {
	info, err := fs.Stat(p.files, file)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s: is not a file", p.shown(file))
	}
	return true, nil
}

// read returns the text of one file without a byte order mark. It reads at most one
// byte more than vm.MaxSource, so that the compiler can refuse a longer file.
func (p place) read(file string) (string, error) {
	f, err := p.files.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, vm.MaxSource+1))
	return strings.TrimPrefix(string(b), "\uFEFF"), err
}

// compile compiles one file.
func (p place) compile(file string) (*vm.Script, error) {
	text, err := p.read(file)
	if err != nil {
		return nil, err
	}
	return vm.Compile(p.shown(file), text, ns.Root)
}

// A source is the location of a plugin's files.
type source struct {
	place
	name    string
	main    string   // the file that returns the plugin's table
	dir     string   // the plugin's folder; "" for a plugin that is one file
	scripts *scripts // the files that the plugin has required
}

// sources finds plugins by name: in the folder, then among the shipped ones.
type sources struct {
	dir    string
	folder *pluginDir // nil: there is no folder
	places []place    // in the order of the search, the folder first
}

// openSources opens the folder, which may be missing. shipped may be nil.
func openSources(dir string, shipped fs.FS) (*sources, error) {
	s := &sources{dir: dir}
	if dir != "" {
		folder, err := openPluginDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("plugins.dir: %w", err)
		}
		if err == nil {
			s.folder = folder
			s.places = append(s.places, place{folder, filepath.ToSlash(dir)})
		}
	}
	if shipped != nil {
		s.places = append(s.places, place{shipped, shippedLabel})
	}
	return s, nil
}

func (s *sources) close() error {
	if s.folder == nil {
		return nil
	}
	return s.folder.Close()
}

// find returns the source of a plugin, and whether it hides a shipped plugin.
func (s *sources) find(name string) (found source, hides bool, err error) {
	if err := CheckPluginName(name); err != nil {
		return source{}, false, err
	}
	var all []source
	for _, p := range s.places {
		src, ok, err := p.findPlugin(name)
		if err != nil {
			return source{}, false, err
		}
		if ok {
			src.scripts = &scripts{places: s.places}
			all = append(all, src)
		}
	}
	if len(all) == 0 {
		return source{}, false, fmt.Errorf("there is no plugin %q: %s and %s do not exist, and no shipped plugin has this name%s",
			name, path.Join(s.dir, name+".lua"), path.Join(s.dir, name, "init.lua"), goval.DidYouMean(name, s.names()))
	}
	return all[0], len(all) > 1, nil
}

// names returns the names of all plugins. It skips folders that cannot be read.
func (s *sources) names() []string {
	var names []string
	for _, p := range s.places {
		more, _ := pluginNames(p.files)
		names = append(names, more...)
	}
	return names
}

// findPlugin finds name.lua or name/init.lua. It returns an error if both exist.
func (p place) findPlugin(name string) (source, bool, error) {
	file, folder := name+".lua", path.Join(name, "init.lua")
	isFile, err := p.exists(file)
	if err != nil {
		return source{}, false, err
	}
	isFolder, err := p.exists(folder)
	switch {
	case err != nil:
		return source{}, false, err
	case isFile && isFolder:
		return source{}, false, fmt.Errorf("plugin %q exists twice: %s and %s", name, p.shown(file), p.shown(folder))
	case isFile:
		return source{place: p, name: name, main: file}, true, nil
	case isFolder:
		return source{place: p, name: name, main: folder, dir: name}, true, nil
	}
	return source{}, false, nil
}
