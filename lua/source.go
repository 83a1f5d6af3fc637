package lua

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"nearside/lua/vm"
)

var pluginName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

// A source is where a plugin's files are.
type source struct {
	name  string
	files fs.FS
	main  string // the file that returns the plugin's table
	dir   string // of neighbours; "" for a plugin that is one file
	label string // before file names in messages: the folder, or "shipped"
}

// shown is the name of a file in messages.
func (s source) shown(file string) string { return path.Join(s.label, file) }

// read reads one file of a plugin, no more than vm.MaxSource.
func (s source) read(file string) (string, error) {
	f, err := s.files.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, vm.MaxSource+1))
	return string(b), err
}

// compile compiles the plugin's main file.
func (s source) compile() (*vm.Script, error) { return s.compileFile(s.main) }

func (s source) compileFile(file string) (*vm.Script, error) {
	text, err := s.read(file)
	if err != nil {
		return nil, err
	}
	return vm.Compile(s.shown(file), text, Root)
}

var neighbour = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

// resolve finds the file of require("./name"): within the plugin's folder,
// without dots. The folder is an os.Root or embedded, so that no symbolic
// link leads out of it either.
func (s source) resolve(name string) (*vm.Script, error) {
	if s.dir == "" {
		return nil, errors.New("a plugin that is one file has no neighbours: make it a folder with init.lua")
	}
	name = strings.TrimSuffix(name, ".lua")
	if !neighbour.MatchString(name) {
		return nil, fmt.Errorf("%q is not the name of a file in the plugin's folder", name)
	}
	return s.compileFile(path.Join(s.dir, name) + ".lua")
}

// sources finds plugins by name: in the folder, then among the shipped ones.
type sources struct {
	dir     string
	folder  *os.Root // nil: there is no folder
	shipped fs.FS    // nil: nothing is shipped
}

// openSources opens the folder, which may be missing.
func openSources(dir string, shipped fs.FS) (*sources, error) {
	s := &sources{dir: dir, shipped: shipped}
	if dir == "" {
		return s, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("plugins.dir: %w", err)
	}
	s.folder = root
	return s, nil
}

func (s *sources) close() error {
	if s.folder == nil {
		return nil
	}
	return s.folder.Close()
}

// find returns the source of a plugin, and whether it hides a shipped one.
func (s *sources) find(name string) (found source, hides bool, err error) {
	if !pluginName.MatchString(name) {
		return source{}, false, fmt.Errorf("plugins.active: %q is not a name of a plugin: letters, digits, _ and -, at most 64", name)
	}
	var shipped source
	var isShipped bool
	if s.shipped != nil {
		if shipped, isShipped, err = look(s.shipped, name, "shipped"); err != nil {
			return source{}, false, err
		}
	}
	if s.folder != nil {
		own, ok, err := look(s.folder.FS(), name, s.dir)
		if err != nil || ok {
			return own, isShipped, err
		}
	}
	if !isShipped {
		return source{}, false, fmt.Errorf("plugins.active: there is no plugin %q: neither %s nor %s, nor one that is shipped",
			name, path.Join(s.dir, name+".lua"), path.Join(s.dir, name, "init.lua"))
	}
	return shipped, false, nil
}

// look finds name.lua or name/init.lua, and refuses both.
func look(files fs.FS, name, label string) (source, bool, error) {
	file, folder := name+".lua", path.Join(name, "init.lua")
	_, fileErr := fs.Stat(files, file)
	_, folderErr := fs.Stat(files, folder)
	switch {
	case fileErr == nil && folderErr == nil:
		return source{}, false, fmt.Errorf("plugin %q is there twice: %s and %s", name, path.Join(label, file), path.Join(label, folder))
	case fileErr == nil:
		return source{name: name, files: files, main: file, label: label}, true, nil
	case folderErr == nil:
		return source{name: name, files: files, main: folder, dir: name, label: label}, true, nil
	case !errors.Is(fileErr, fs.ErrNotExist):
		return source{}, false, fileErr
	case !errors.Is(folderErr, fs.ErrNotExist):
		return source{}, false, folderErr
	}
	return source{}, false, nil
}
