package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// changedValues has, for each key, a value that differs from the default, and whether
// a reload applies it. A new key needs an entry.
var changedValues = map[string]struct {
	raw  any
	live bool
}{
	"audit.file": {"a.log", true}, "audit.key_file": {"a.key", true}, "audit.max_bytes": {"1MiB", true}, "audit.keep": {3, true}, "audit.match": {false, true}, "audit.reads": {true, true},
	"listen": {"127.0.0.1:1", false}, "insecure": {true, false},
	"tls.cert_file": {"a.pem", true}, "tls.key_file": {"b.pem", true}, "tls.client_ca_file": {"c.pem", true}, "trusted_proxies": {[]any{"10.0.0.0/8"}, true},
	"data_dir": {"other", false}, "workers": {3, false}, "simd": {"generic", false},
	"descriptors.versions": {[]any{map[string]any{"number": 7, "type": "face", "encoding": "uint8", "length": 2}}, false},
	"faces.retention":      {"1h", true},
	"events.retention":     {"1h", true},
	"lists.retention":      {map[string]any{"aa000000-0000-0000-0000-000000000001": "1h"}, true},
	"snapshots.dir":        {"other", false}, "snapshots.every": {"1d", false}, "snapshots.keep": {3, false},
	"events.meta_fields": {[]any{map[string]any{"path": "a", "type": "number"}}, false},
	"plugins.dir":        {"other", true}, "plugins.active": {[]any{"a"}, true}, "plugins.settings": {map[string]any{"a": map[string]any{"b": 1}}, true},
	"plugins.override": {map[string]any{"a": map[string]any{"order": 3}}, true},
	"plugins.watch":    {true, false}, "matchers.memory.cost": {7, false},
	"matchers.remote":                {[]any{map[string]any{"name": "a", "url": "http://h:1"}}, true},
	"limits.body_bytes":              {"2KiB", true},
	"limits.line_bytes":              {"2KiB", true},
	"limits.header_bytes":            {"2KiB", true},
	"limits.connections_per_address": {7, true},
	"limits.references":              {7, true}, "limits.candidates": {7, true}, "limits.raw_candidates": {7, true}, "limits.result": {7, true},
	"limits.filter_values": {7, true}, "limits.offset": {7, true}, "limits.cross_match": {7, true}, "limits.memory": {"2KiB", true}, "limits.process_memory": {"2KiB", true},
	"limits.request_timeout": {"7s", true}, "limits.shutdown_timeout": {"7s", true},
	"log.level": {"debug", true}, "log.format": {"json", false},
	"monitoring.service": {"gate", false},
	"access.open":        {[]any{"metrics"}, true},
	"access.keys":        {[]any{map[string]any{"name": "a", "sha256": strings.Repeat("0a", 32), "roles": []any{"match"}}}, true},

	"access.jwt.public_key_file": {"key.pem", true}, "access.jwt.jwks_file": {"keys.json", true}, "access.jwt.secret_file": {"secret", true},
	"access.jwt.issuer": {"https://issuer", true}, "access.jwt.audience": {"other", true}, "access.jwt.roles_claim": {"scope", true}, "access.jwt.account_claim": {"tenant", true},
}

// TestReload changes each key in turn. It checks that Reload either applies the key or
// returns it as a key that needs a restart.
func TestReload(t *testing.T) {
	defaults := Default()
	for _, s := range defaults.settings() {
		changed, ok := changedValues[s.key]
		if !ok {
			t.Errorf("%s: add an entry for it to changedValues", s.key)
			continue
		}
		next := Default()
		i := slices.IndexFunc(next.settings(), func(o setting) bool { return o.key == s.key })
		if err := next.settings()[i].value.set(changed.raw); err != nil {
			t.Fatal(s.key, err)
		}
		c := Default()
		applied, restart := c.Reload(&next)
		if got := strings.Join(applied, ","); changed.live && (got != s.key || len(restart) > 0 || !reflect.DeepEqual(c, next)) {
			t.Errorf("%s: applied %q, restart %q", s.key, applied, restart)
		}
		if got := strings.Join(restart, ","); !changed.live && (got != s.key || len(applied) > 0 || !reflect.DeepEqual(c, Default())) {
			t.Errorf("%s: applied %q, restart %q", s.key, applied, restart)
		}
		if applied, restart := c.Reload(&next, s.key); len(applied)+len(restart) > 0 {
			t.Errorf("%s is in refused: applied %q, restart %q", s.key, applied, restart)
		}
	}
}

// TestEveryField checks that each field of Config has a key. Reload would not compare a
// field without a key.
func TestEveryField(t *testing.T) {
	c := Default()
	set := map[any]bool{}
	for _, s := range c.settings() {
		set[reflect.ValueOf(s.value).Field(0).Pointer()] = true
	}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+v.Type().Field(i).Name
			switch {
			case name == "File" || name == "Sources" || set[f.Addr().Pointer()]:
			case f.Kind() == reflect.Struct:
				walk(name+".", f)
			default:
				t.Errorf("no key sets %s", name)
			}
		}
	}
	walk("", reflect.ValueOf(&c).Elem())
}
