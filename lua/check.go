package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"nearside/lua/vm"
)

// Check loads the plugin of that name as a Host would, without initialising
// it, and reports all that is wrong: syntax, writes of globals, shape,
// permissions, schema, settings, and names that require("nearside") does not
// have, in all files of its folder.
func Check(ctx context.Context, o Options, name string) error {
	o = o.withDefaults()
	h := &Host{o: o, clock: o.Clock, started: o.Clock.Now(), kv: map[string]*kvStore{}}
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, ".lua")
	p, err := h.read(ctx, ctx, found, name)
	faults := []error{err}
	if p != nil {
		faults = append(faults, p.checkFiles(), p.close(context.WithoutCancel(ctx)))
	}
	return errors.Join(append(faults, found.close())...)
}

// checkFiles compiles every file of the plugin and looks up what it uses.
func (p *plugin) checkFiles() error {
	s := p.source
	faults := []error{unknownUses(p.script)}
	if s.dir == "" {
		return errors.Join(faults...)
	}
	err := fs.WalkDir(s.files, s.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".lua" || file == s.main {
			return err
		}
		script, err := s.compileFile(file)
		if err != nil {
			faults = append(faults, err)
			return nil
		}
		faults = append(faults, unknownUses(script))
		return nil
	})
	return errors.Join(append(faults, err)...)
}

func unknownUses(script *vm.Script) error {
	var faults []error
	for _, use := range script.Uses {
		if !library.Knows(use.Path) {
			faults = append(faults, fmt.Errorf("%s:%d: %s has no %q", script.Name, use.Line, Root, use.Path))
		}
	}
	return errors.Join(faults...)
}
