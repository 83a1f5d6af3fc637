package lua

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Listing is one plugin that can be activated.
type Listing struct {
	Name, Version, File string
	Kinds               []Kind
	Permissions         []string
	Shipped             bool   // the plugin is part of the binary
	Hides               bool   // the plugin replaces a shipped one
	Active              bool   // Options.Active names the plugin
	Fault               string // why the plugin does not load; empty: it loads
}

// List checks the plugins of the folder and the shipped plugins as [Check] does, and
// returns them sorted by name.
func List(ctx context.Context, o Options) ([]Listing, error) {
	h := newCheckingHost(o)
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return nil, err
	}
	names := []string{}
	if found.folder != nil {
		names, err = pluginNames(found.folder)
	}
	if err == nil && o.Shipped != nil {
		var shipped []string
		shipped, err = pluginNames(o.Shipped)
		names = append(names, shipped...)
	}
	if err != nil {
		return nil, errors.Join(err, found.close())
	}
	slices.Sort(names)
	var all []Listing
	active := activeNames(o.Active)
	for _, name := range slices.Compact(names) {
		l := h.listing(ctx, found, name)
		l.Active = slices.Contains(active, name)
		all = append(all, l)
	}
	return all, found.close()
}

// listing checks one plugin.
func (h *Host) listing(ctx context.Context, found *sources, name string) Listing {
	l := Listing{Name: name}
	src, hides, err := found.find(name)
	if err != nil {
		l.Fault = err.Error()
		return l
	}
	l.File, l.Hides, l.Shipped = src.shown(src.main), hides, src.label == shippedLabel
	p, err := h.check(ctx, found, name)
	if p != nil {
		l.Version, l.Kinds, l.Permissions = p.Version, p.kinds, p.Permissions
	}
	if err != nil {
		l.Fault = err.Error()
	}
	return l
}

// pluginNames returns the names of the plugins in files. A plugin is a file name.lua
// that is not a test, or a folder name with an init.lua, except libFolder.
func pluginNames(files fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, isPlugin := strings.CutSuffix(e.Name(), ".lua")
		if !isPlugin {
			_, err := fs.Stat(files, path.Join(name, "init.lua"))
			isPlugin = err == nil && name != libFolder
		}
		if isPlugin && pluginName.MatchString(name) && !strings.HasSuffix(name, "_test") {
			names = append(names, name)
		}
	}
	return names, nil
}
