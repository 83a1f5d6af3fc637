package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

// Check loads the plugin of that name as a Host does, but does not initialise it. It
// reports faults that keep a Host from starting the plugin: in the syntax, the fields of
// the table, the permissions, the schema and the settings, and writes to globals. In all
// files of the plugin and the files that it requires, it also reports names that
// require("nearside") does not have, and names that need a missing permission. A
// plugin that is not active needs no settings. The error has one line per fault.
func Check(ctx context.Context, o Options, name string) error {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".lua")
	_, err = newCheckingHost(o).check(ctx, found, name)
	return errors.Join(err, found.close())
}

// CheckExists returns an error if there is no plugin of that name. It does not read the
// plugin's files.
func CheckExists(o Options, name string) error {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	_, _, err = found.find(strings.TrimSuffix(name, ".lua"))
	return errors.Join(err, found.close())
}

// newCheckingHost returns a Host that only reads and checks plugins.
func newCheckingHost(o Options) *Host {
	o = o.withDefaults()
	o.checking = true
	return newHost(o)
}

// check reads a plugin, checks all its files and closes it. The plugin that it
// returns may be nil.
func (h *Host) check(ctx context.Context, found *sources, name string) (*plugin, error) {
	p, err := h.read(ctx, ctx, found, name)
	faults := []error{err}
	if p != nil {
		faults = append(faults, p.checkFiles(), p.close(context.WithoutCancel(ctx)))
	}
	return p, errors.Join(faults...)
}

// checkFiles checks the names of require("nearside") that the plugin's files use. It
// checks the files that have run and all others in the plugin's folder, because they may
// be required later. It also checks the defaults of the schema.
func (p *plugin) checkFiles() error {
	faults := []error{p.badUses(p.script)}
	if err := p.compiled.badDefaults(); err != nil {
		faults = append(faults, p.located(err))
	}
	seen := map[string]bool{p.script.Name: true}
	for _, script := range p.source.scripts.all() {
		seen[script.Name] = true
		faults = append(faults, p.badUses(script))
	}
	s := p.source
	if s.dir == "" {
		return errors.Join(faults...)
	}
	err := fs.WalkDir(s.files, s.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".lua" || seen[s.shown(file)] {
			return err
		}
		script, err := s.compile(file)
		if err != nil {
			faults = append(faults, err)
			return nil
		}
		faults = append(faults, p.badUses(script))
		return nil
	})
	return errors.Join(append(faults, err)...)
}

// badUses returns faults for names that the library does not have, and for modules that
// need a permission that the plugin does not have.
func (p *plugin) badUses(script *vm.Script) error {
	var faults []error
	for _, use := range script.Uses {
		if !ns.Library.Has(use.Path) {
			faults = append(faults, fmt.Errorf("%s:%d: %s has no %q", script.Name, use.Line, ns.Root, use.Path))
			continue
		}
		kind, _, _ := strings.Cut(use.Path, ".")
		wantsTarget, needed := ns.PermissionKinds[kind]
		if !needed || slices.ContainsFunc(p.Permissions, func(granted string) bool { return granted == kind || strings.HasPrefix(granted, kind+":") }) {
			continue
		}
		if wantsTarget {
			kind += ":host:port"
		}
		faults = append(faults, fmt.Errorf("%s:%d: %s needs a permission: add %q to permissions", script.Name, use.Line, use.Path, kind))
	}
	return errors.Join(faults...)
}

// lineOf guesses the line of a plugin's source that sets a field, such as
// "matching.order" or "permissions[2]". It searches for the parts of the field in
// order and returns the line of the last part found. If it finds none of them, it
// returns the line of the last return statement.
func lineOf(text, field string) int {
	lines := strings.Split(text, "\n")
	line, from := 1, 0
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), "return") {
			line = i + 1
		}
	}
	for _, name := range strings.FieldsFunc(field, func(r rune) bool { return r == '.' || r == '[' }) {
		sets, err := regexp.Compile(`(^|[^\w"])` + regexp.QuoteMeta(name) + `\s*=[^=]|[:.]` + regexp.QuoteMeta(name) + `\b`)
		if err != nil {
			break
		}
		i := slices.IndexFunc(lines[from:], func(l string) bool {
			code, _, _ := strings.Cut(l, "--")
			return sets.MatchString(code)
		})
		if i < 0 {
			break
		}
		from += i
		line = from + 1
	}
	return line
}
