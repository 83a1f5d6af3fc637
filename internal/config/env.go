package config

import (
	"fmt"
	"slices"
	"strings"
)

// envPrefix is the prefix of the variables that set keys.
const envPrefix = "NEARSIDE_"

// activeVariables are the variables that can name the active plugins. The first one
// that is set is used. The last two are those of the LUNA PLATFORM services.
var activeVariables = []string{
	"NEARSIDE_PLUGINS_ACTIVE",
	"NEARSIDE_ACTIVE_PLUGINS",
	"LUNA_MATCHER_PROXY_ACTIVE_PLUGINS",
	"LUNA_PYTHON_MATCHER_ACTIVE_PLUGINS",
}

// URLVariable is the variable with the address of the server for the commands that are
// clients. It sets no key.
const URLVariable = "NEARSIDE_URL"

// ClientVariables are the variables of the commands that are clients of a server. They set
// no key of the configuration.
var ClientVariables = []string{URLVariable, KeyVariable, CAFileVariable, CertFileVariable}

// KeyVariable is the variable with the key that clients send. CAFileVariable and
// CertFileVariable are those with the files that clients need for TLS.
const (
	KeyVariable      = "NEARSIDE_KEY"
	CAFileVariable   = "NEARSIDE_CA_FILE"
	CertFileVariable = "NEARSIDE_CERT_FILE"
)

// envName returns the name of the variable for a key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// readEnv merges the environment. It looks up the variable of each key. It cannot find
// the key of a variable instead, because an underscore in the name of a variable stands
// for a dot or for an underscore.
func (r *reader) readEnv(env []string) (warnings []string) {
	given := map[string]string{}
	for _, entry := range env {
		if name, text, ok := strings.Cut(entry, "="); ok {
			given[name] = text
		}
	}
	var known []string
	for _, key := range r.keys {
		name := envName(key)
		known = append(known, name)
		if text, ok := given[name]; ok {
			r.setKey(key, name, text)
		}
	}
	for _, name := range activeVariables {
		if text, ok := given[name]; ok {
			r.setKey("plugins.active", name, text)
			break
		}
	}
	for name := range given {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(ClientVariables, name) || slices.Contains(known, name) || slices.Contains(activeVariables, name) {
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
