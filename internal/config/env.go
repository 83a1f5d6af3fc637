package config

import (
	"fmt"
	"slices"
	"strings"
)

// envPrefix begins the names of our variables.
const envPrefix = "NEARSIDE_"

// pluginNames are the variables that may name the active plugins; the first
// that is set wins. The last two are those of the original services.
var pluginNames = []string{
	"NEARSIDE_PLUGINS_ACTIVE",
	"NEARSIDE_ACTIVE_PLUGINS",
	"LUNA_MATCHER_PROXY_ACTIVE_PLUGINS",
	"LUNA_PYTHON_MATCHER_ACTIVE_PLUGINS",
}

// envName returns the variable of a key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// readEnv merges the environment. Keys have underscores themselves, so a
// variable is looked up among the names of all keys and never taken apart.
func (r *reader) readEnv(env []string) (warnings []string) {
	set := map[string]string{}
	for _, entry := range env {
		if name, text, ok := strings.Cut(entry, "="); ok {
			set[name] = text
		}
	}
	var known []string
	for _, key := range r.keys {
		name := envName(key)
		known = append(known, name)
		if text, ok := set[name]; ok {
			r.put(key, name, text)
		}
	}
	for _, name := range pluginNames {
		if text, ok := set[name]; ok {
			r.put("plugins.active", name, text)
			break
		}
	}
	for name := range set {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || slices.Contains(pluginNames, name) {
			continue
		}
		warning := fmt.Sprintf("environment: %s is not a known setting", name)
		if near := nearest(name, known); near != "" {
			warning += fmt.Sprintf("; did you mean %s?", near)
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}
