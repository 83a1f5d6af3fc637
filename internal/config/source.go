package config

import (
	"cmp"
	"strings"
)

// Sources maps each key that was set to the file, variable or flag that set it last.
type Sources map[string]string

// noSource is the source of default values.
const noSource = "config"

// Source returns the file, variable or flag that caused a fault. The text of the
// fault begins with the path of the key.
func (c *Config) Source(fault string) string {
	for _, s := range c.settings() {
		if rest, ok := strings.CutPrefix(fault, s.key); ok && (rest == "" || strings.ContainsAny(rest[:1], ".[:")) {
			return cmp.Or(c.Sources[s.key], noSource)
		}
	}
	return cmp.Or(c.File, noSource)
}
