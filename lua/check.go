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

	"nearside/lua/vm"
)

// Check loads the plugin of that name as a Host does, without initialising
// it, and reports all that is wrong: what keeps a Host from starting it (syntax,
// writes of globals, shape, permissions, schema, settings), and in all its
// files, also those that it requires, names that require("nearside") does not
// have or for which the plugin has no permission. A plugin that is not active
// needs no settings. The error has a line for each fault.
func Check(ctx context.Context, o Options, name string) error {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".lua")
	_, err = newReader(o).check(ctx, found, name)
	return errors.Join(err, found.close())
}

// Find returns an error unless there is a plugin of that name. It does not look
// into its files.
func Find(o Options, name string) error {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	_, _, err = found.find(strings.TrimSuffix(name, ".lua"))
	return errors.Join(err, found.close())
}

// newReader makes a Host that only reads plugins.
func newReader(o Options) *Host {
	o = o.withDefaults()
	o.reading = true
	return &Host{o: o, clock: o.Clock, started: o.Clock.Now(), kv: map[string]*kvStore{}}
}

// check reads a plugin and checks all its files. The plugin, which may be nil,
// is closed.
func (h *Host) check(ctx context.Context, found *sources, name string) (*plugin, error) {
	p, err := h.read(ctx, ctx, found, name)
	faults := []error{err}
	if p != nil {
		faults = append(faults, p.checkFiles(), p.close(context.WithoutCancel(ctx)))
	}
	return p, errors.Join(faults...)
}

// checkFiles looks up what the plugin's files use: those that have run, and
// the others of its folder, which may be required later.
func (p *plugin) checkFiles() error {
	faults := []error{p.unknownUses(p.script)}
	seen := map[string]bool{p.script.Name: true}
	for _, script := range p.source.scripts.all() {
		seen[script.Name] = true
		faults = append(faults, p.unknownUses(script))
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
		faults = append(faults, p.unknownUses(script))
		return nil
	})
	return errors.Join(append(faults, err)...)
}

// unknownUses are names that the library does not have, and modules that would
// refuse everything for want of a permission.
func (p *plugin) unknownUses(script *vm.Script) error {
	var faults []error
	for _, use := range script.Uses {
		if !library.Knows(use.Path) {
			faults = append(faults, fmt.Errorf("%s:%d: %s has no %q", script.Name, use.Line, Root, use.Path))
			continue
		}
		kind, _, _ := strings.Cut(use.Path, ".")
		wantsTarget, needed := permissionKinds[kind]
		if !needed || slices.ContainsFunc(p.permissions, func(granted string) bool { return granted == kind || strings.HasPrefix(granted, kind+":") }) {
			continue
		}
		if wantsTarget {
			kind += ":host:port"
		}
		faults = append(faults, fmt.Errorf("%s:%d: %s needs a permission: add %q to permissions", script.Name, use.Line, use.Path, kind))
	}
	return errors.Join(faults...)
}

// lineOf guesses the line that sets a field, such as "matching.order" or
// "permissions[2]", in the source of a plugin: its last part that is found
// after the parts before it. It is the line of the last return otherwise.
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
