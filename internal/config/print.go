package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"

	"nearside/internal/access"
)

// masked is shown in place of a secret.
const masked = "***"

// Map returns c in the structure of the file, in new maps of plain values. It masks
// secrets: the hashes of keys, values in plugins.settings whose key names a secret, keys in
// any text, and user names, passwords and secret parameters in all URLs.
func (c *Config) Map() map[string]any {
	root := map[string]any{}
	for _, s := range c.settings() {
		section := root
		parts := strings.Split(s.key, ".")
		for _, part := range parts[:len(parts)-1] {
			below, ok := section[part].(map[string]any)
			if !ok {
				below = map[string]any{}
				section[part] = below
			}
			section = below
		}
		shown := maskValue(s.value.get(), s.key == "plugins.settings")
		if s.key == "access.keys" {
			maskHashes(shown)
		}
		section[parts[len(parts)-1]] = shown
	}
	return root
}

// YAML returns the result of Map as YAML, with sorted keys.
func (c *Config) YAML() ([]byte, error) {
	text, err := yaml.Parser().Marshal(c.Map())
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return text, nil
}

var (
	secretKey   = regexp.MustCompile(`(?i)passw|pwd|token|secret|key|credential|authorization`)
	userInfo    = regexp.MustCompile(`://[^\s"']*@`) // greedy, because a password may contain @ and /
	secretQuery = regexp.MustCompile(`(?i)([?&;][^=&;\s]*(?:passw|pwd|token|secret|key|credential)[^=&;\s]*=)[^&;\s"']+`)
)

// maskValue returns a copy of v with masked secrets. If byKey is true, it also masks
// values whose key names a secret.
func maskValue(v any, byKey bool) any {
	switch v := v.(type) {
	case string:
		return maskText(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = maskValue(v[i], byKey)
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for key, below := range v {
			if byKey && secretKey.MatchString(key) {
				all[key] = masked
				continue
			}
			all[key] = maskValue(below, byKey)
		}
		return all
	}
	return v
}

func maskText(s string) string {
	s = userInfo.ReplaceAllString(s, "://"+masked+"@")
	s = secretQuery.ReplaceAllString(s, "${1}"+masked)
	return access.Mask(s, masked)
}
