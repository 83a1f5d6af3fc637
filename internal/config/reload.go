package config

import (
	"reflect"
	"slices"
)

// Reload applies next, which was read later, to the running configuration c. It
// copies the values that a running server can change. It returns the keys that it
// copied, and the changed keys that need a restart. It neither copies nor returns
// the keys in refused.
func (c *Config) Reload(next *Config, refused ...string) (applied, restart []string) {
	applied, restart = []string{}, []string{}
	later := next.settings()
	for i, s := range c.settings() {
		switch {
		case reflect.DeepEqual(s.value.get(), later[i].value.get()), slices.Contains(refused, s.key):
		case s.live:
			s.value.copyFrom(later[i].value)
			applied = append(applied, s.key)
		default:
			restart = append(restart, s.key)
		}
	}
	return applied, restart
}
