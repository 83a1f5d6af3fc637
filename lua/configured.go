package lua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckConfigured reads the plugins and settings of o, without initialising the plugins.
// fatal are the faults that make [New] fail. ignored are the faults that New ignores: those
// in code that may never run, those in unused defaults of the schema, and those of plugins
// that have settings but are not active.
func CheckConfigured(ctx context.Context, o Options) (fatal, ignored []error) {
	found, err := openSources(o.Dir, o.Shipped)
	if err != nil {
		return []error{err}, nil
	}
	h := newCheckingHost(o)
	for _, name := range activeNames(o.Active) {
		p, err := h.read(ctx, ctx, found, name)
		if _, _, unknown := found.find(name); unknown != nil {
			err = fmt.Errorf("plugins.active: %w", err)
		}
		if err != nil {
			fatal = append(fatal, err)
		}
		if p == nil {
			continue
		}
		if err == nil {
			ignored = append(ignored, faultLines(p.checkFiles())...)
		}
		ignored = append(ignored, faultLines(p.close(context.WithoutCancel(ctx)))...)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if h.active(name) {
			continue
		}
		if _, _, err := found.find(name); err != nil {
			ignored = append(ignored, fmt.Errorf("plugins.settings.%s: %w", name, err))
			continue
		}
		if _, err := h.check(ctx, found, name); err != nil {
			for _, fault := range faultLines(err) {
				ignored = append(ignored, fmt.Errorf("%w (the plugin is not active)", fault))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Override)) {
		if _, _, err := found.find(name); err != nil {
			ignored = append(ignored, fmt.Errorf("plugins.override.%s: %w", name, err))
		}
	}
	return fatal, append(ignored, faultLines(found.close())...)
}

// faultLines returns one error for each line of err's text.
func faultLines(err error) []error {
	if err == nil {
		return nil
	}
	var all []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		all = append(all, errors.New(line))
	}
	return all
}
