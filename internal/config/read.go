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

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// fileBytesMax bounds the file; a larger one is no configuration.
const fileBytesMax = 4 << 20

// Read returns the configuration of the file at path, then env ("NAME=value",
// as [os.Environ] has it), then flags (by key, as in "data_dir"). With path ""
// it reads [DefaultFile] if there is one. The error joins all faults, one line
// each. Warnings are for the log; they are there with an error too.
func Read(path string, env []string, flags map[string]any) (c Config, warnings []string, err error) {
	c = Default()
	r := reader{merged: koanf.New("."), source: map[string]string{}}
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
			r.bad = append(r.bad, at(s.key, err)...)
		}
	}
	warnings = append(warnings, c.dropTwins()...)
	r.bad = append(r.bad, c.check()...)
	if len(r.bad) > 0 {
		return Default(), warnings, errors.Join(r.lines(c.File)...)
	}
	return c, warnings, nil
}

// reader collects what the sources say.
type reader struct {
	keys   []string
	merged *koanf.Koanf
	source map[string]string // by key: the variable or flag that set it last
	bad    faults
}

// readFile merges the file and notes the keys in it that do not exist. Only a
// file that cannot be read at all is an error at once.
func (r *reader) readFile(path string) (used string, err error) {
	file, err := os.Open(cmp.Or(path, DefaultFile))
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	if len(data) > fileBytesMax {
		return "", fmt.Errorf("config: %s: longer than %d bytes", file.Name(), fileBytesMax)
	}
	if secondDocument(data) {
		return "", fmt.Errorf("config: %s: has a second YAML document, which would not be read", file.Name())
	}
	if err := r.merged.Load(rawbytes.Provider(data), yaml.Parser()); err != nil {
		return "", fmt.Errorf("config: %s: %s", file.Name(), strings.Join(strings.Fields(err.Error()), " "))
	}
	r.checkKeys("", r.merged.Raw())
	return file.Name(), nil
}

// secondDocument reports whether content stands before a line "---".
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

// checkKeys notes every key of section, which stands at prefix, that is
// neither a setting nor a section with settings below it.
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
			r.bad = append(r.bad, fault{key, quote(section[name]) + " is not a map"})
		}
	}
}

// put sets key, whatever an earlier source said about it: a text replaces a
// whole map. Only a map would be merged with one, and none comes here.
func (r *reader) put(key, source string, raw any) {
	// A confmap of one valid key is merged without fail.
	_ = r.merged.Load(confmap.Provider(map[string]any{key: raw}, "."), nil)
	r.source[key] = source
}

// readFlags merges flags; one that is no key is a mistake of the caller, which
// is treated like an unknown key of the file.
func (r *reader) readFlags(flags map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		if !slices.Contains(r.keys, key) {
			r.bad = append(r.bad, fault{key, unknownKey(key, r.keys)})
			continue
		}
		r.put(key, "--"+strings.ReplaceAll(key, "_", "-"), flags[key])
	}
}

// lines returns the faults in the order of settings, each after the file,
// variable or flag that it is in.
func (r *reader) lines(file string) []error {
	var all []error
	for _, f := range r.bad {
		source := cmp.Or(file, "config")
		for key, name := range r.source {
			if rest, ok := strings.CutPrefix(f.path, key); ok && (rest == "" || strings.ContainsAny(rest[:1], ".[")) {
				source = name
			}
		}
		all = append(all, faults{f}.lines(source+": ")...)
	}
	return all
}
