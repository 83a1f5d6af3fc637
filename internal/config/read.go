package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// fileBytesMax is the maximum size of the file.
const fileBytesMax = 4 << 20

// Read reads the file at path, then env ("NAME=value", as in [os.Environ]), then
// flags (by key, as in "data_dir"). If path is empty, it reads [DefaultFile] if that
// exists. The error joins all faults, one per line. The warnings are for the log. They
// are returned even if there is an error.
func Read(path string, env []string, flags map[string]any) (c Config, warnings []string, err error) {
	c = Default()
	r := reader{merged: koanf.New("."), sources: Sources{}}
	for _, s := range c.settings() {
		r.keys = append(r.keys, s.key)
	}
	if c.File, err = r.readFile(path); err != nil {
		return Default(), nil, err
	}
	warnings = r.readEnv(env)
	r.readFlags(flags)
	for _, s := range c.settings() {
		raw := r.merged.Get(s.key)
		if raw == nil {
			continue
		}
		if err := s.value.set(raw); err != nil {
			r.bad = append(r.bad, withPath(s.key, err)...)
		}
	}
	c.Sources = r.sources
	warnings = append(warnings, c.dropDuplicatePlugins()...)
	warnings = append(warnings, c.Access.expired(time.Now())...)
	r.bad = append(r.bad, r.withoutConsequences(c.check())...)
	if len(r.bad) > 0 {
		return Default(), warnings, errors.Join(r.lines(&c)...)
	}
	return c, warnings, nil
}

// withoutConsequences leaves out the fault that the server has no keys if r.bad says why
// it has none.
func (r *reader) withoutConsequences(checked faults) faults {
	isCause := func(f fault) bool { return strings.HasPrefix(f.path, "access.") || f.path == "insecure" }
	if !slices.ContainsFunc(r.bad, isCause) {
		return checked
	}
	return slices.DeleteFunc(checked, func(f fault) bool { return f.path == "listen" })
}

// reader merges the sources.
type reader struct {
	keys    []string
	merged  *koanf.Koanf
	sources Sources
	bad     faults
}

// readFile merges the file and collects unknown keys in r.bad. It returns an error
// only if the file cannot be read or parsed.
func (r *reader) readFile(path string) (used string, err error) {
	file, err := os.Open(cmp.Or(path, DefaultFile))
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	defer func() { _ = file.Close() }() // the file was only read
	data, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	if len(data) > fileBytesMax {
		return "", fmt.Errorf("config: %s: must have at most %d bytes", file.Name(), fileBytesMax)
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // a byte order mark, which editors on Windows write
	if secondDocument(data) {
		return "", fmt.Errorf("config: %s: must have one YAML document, got a second one after ---", file.Name())
	}
	if err := r.merged.Load(rawbytes.Provider(data), yaml.Parser()); err != nil {
		return "", fmt.Errorf("config: %s: %s", file.Name(), strings.Join(strings.Fields(err.Error()), " "))
	}
	r.checkKeys("", r.merged.Raw())
	for _, key := range r.keys {
		if r.merged.Get(key) != nil {
			r.sources[key] = file.Name()
		}
	}
	return file.Name(), nil
}

// secondDocument reports whether a line "---" comes after other content.
func secondDocument(data []byte) bool {
	content := false
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, " \t\r\n")
		switch {
		case bytes.HasPrefix(line, []byte("---")):
			if content {
				return true
			}
			content = len(line) > 3
		case len(line) > 0 && line[0] != '#' && line[0] != '%':
			content = true
		}
	}
	return false
}

// checkKeys adds a fault for every key of section that is neither a setting nor a
// section of settings. prefix is the path of section, with a dot at its end.
func (r *reader) checkKeys(prefix string, section map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(section)) {
		key := prefix + name
		if slices.Contains(r.keys, key) && !strings.Contains(name, ".") {
			continue
		}
		isSection := slices.ContainsFunc(r.keys, func(k string) bool { return strings.HasPrefix(k, key+".") })
		below, isMap := section[name].(map[string]any)
		switch {
		case !isSection || strings.Contains(name, "."):
			r.bad = append(r.bad, fault{key, unknownKey(key, r.keys)})
		case isMap:
			r.checkKeys(key+".", below)
		case section[name] != nil:
			r.bad = append(r.bad, fault{key, "must be a map, got " + quote(section[name])})
		}
	}
}

// setKey sets key to raw and replaces the value of an earlier source. raw must not be a
// map, because koanf would merge it with the map of an earlier source.
func (r *reader) setKey(key, source string, raw any) {
	// Loading a confmap with one valid key cannot fail.
	_ = r.merged.Load(confmap.Provider(map[string]any{key: raw}, "."), nil)
	r.sources[key] = source
}

// readFlags merges flags. A flag that is not a key is a mistake of the caller; it is
// reported like an unknown key of the file.
func (r *reader) readFlags(flags map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		if !slices.Contains(r.keys, key) {
			r.bad = append(r.bad, fault{key, unknownKey(key, r.keys)})
			continue
		}
		r.setKey(key, "--"+strings.ReplaceAll(key, "_", "-"), flags[key])
	}
}

// lines returns the faults as errors, each beginning with the file, variable or flag
// that has the fault.
func (r *reader) lines(c *Config) []error {
	var all []error
	for _, f := range r.bad {
		all = append(all, faults{f}.lines(c.Source(f.path)+": ")...)
	}
	return all
}
