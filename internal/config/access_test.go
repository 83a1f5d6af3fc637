package config

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/access"
	"nearside/matcher"
)

const (
	hashA, hashB = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", "0B0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
	listA        = "aa000000-0000-4000-8000-000000000001"
)

// TestReadKeys reads each field of a key and of tokens.
func TestReadKeys(t *testing.T) {
	c := read(t, `
listen: 0.0.0.0:5110   # allowed, because there are keys
access:
  open: [metrics, docs, healthcheck]
  keys:
    - {name: gate-7, sha256: `+hashA+`, roles: [match], account_id: `+strings.ToUpper(listA)+`, lists: [`+listA+`], rate: 200/s, concurrent: 16, expires: 2099-01-01T00:00:00Z}
    - {name: b, sha256: "`+hashB+`", roles: [read, admin], expires: "2099-01-01T02:00:00+02:00"}
  jwt: {public_key_file: a.pem, jwks_file: b.json, secret_file: c, issuer: "https://i", audience: x, roles_claim: scope, account_claim: tenant}
`)
	id, expires := matcher.MustID(listA), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	var a, b [32]byte
	for i := range a {
		a[i], b[i] = 0x0a, 0x0b
	}
	want := Access{
		Open: []string{"metrics", "docs", "healthcheck"},
		Keys: []access.Key{
			{Name: "gate-7", SHA256: a, Roles: []access.Role{access.Match}, Account: id, Lists: []matcher.ID{id}, Rate: access.Rate{Requests: 200, Per: time.Second}, Concurrent: 16, Expires: expires},
			{Name: "b", SHA256: b, Roles: []access.Role{access.Read, access.Admin}, Expires: expires},
		},
		JWT: access.JWT{PublicKeyFile: "a.pem", JWKSFile: "b.json", SecretFile: "c", Issuer: "https://i", Audience: "x", RolesClaim: "scope", AccountClaim: "tenant"},
	}
	if diff := cmp.Diff(want, c.Access); diff != "" {
		t.Error(diff)
	}
	text, err := c.YAML()
	if err != nil || strings.Contains(string(text), "0a0a") || !strings.Contains(string(text), "gate-7") || !strings.Contains(string(text), "2099-01-01T00:00:00Z") {
		t.Errorf("%s %v", text, err)
	}
	// The hash is compared by a reload, although it is masked in what is shown.
	next := c
	next.Access.Keys = append([]access.Key{}, c.Access.Keys...)
	next.Access.Keys[0].SHA256[5] = 1
	if applied, restart := c.Reload(&next); fmt.Sprint(applied, restart) != "[access.keys] []" {
		t.Error(applied, restart)
	}
	for section, wanted := range map[string][]string{"access.": AccessKeys, "audit.": AuditKeys} {
		var keys []string
		for _, s := range c.settings() {
			if strings.HasPrefix(s.key, section) {
				keys = append(keys, s.key)
			}
		}
		if fmt.Sprint(keys) != fmt.Sprint(wanted) {
			t.Errorf("the keys of %s are %v, want %v", section, wanted, keys)
		}
	}
}

func TestKeyFaults(t *testing.T) {
	key := access.NewKey()
	check := func(entries, want string) {
		t.Helper()
		got := faultsOf(t, "access: {keys: ["+entries+"]}", nil, nil)
		if len(got) != 1 || !strings.HasPrefix(got[0], "access.keys[") || !strings.Contains(got[0], want) {
			t.Errorf("%q, want one fault with %q", got, want)
		}
		if strings.Contains(strings.Join(got, ""), key) {
			t.Errorf("the fault has the key: %q", got)
		}
	}
	good := "{name: a, sha256: " + hashA + ", roles: [match]}, "
	with := func(more string) string { return "{name: b, sha256: " + hashB + ", roles: [match], " + more + "}" }
	check("{sha256: "+hashA+", roles: [match]}", "[0].name: is missing")
	check("{name: a, roles: [match]}", "[0].sha256: is missing")
	check("{name: a, sha256: "+hashA+"}", "[0].roles: is missing")
	check("{name: a, sha256: "+hashA+", roles: []}", "[0].roles: must have at least one of match, read, write, admin")
	check("{name: a, sha256: "+hashA+", roles: [root]}", `[0].roles[0]: must be one of match, read, write, admin, got "root"`)
	check("{name: 'a b', sha256: "+hashA+", roles: [match]}", "[0].name: must be 1 to 64 letters")
	for _, wrong := range []string{"abc", "''", hashA[1:], hashA + "0a", "x" + hashA[1:]} {
		check("{name: a, sha256: "+wrong+", roles: [match]}", "[0].sha256: must be 64 hexadecimal digits")
	}
	check("{name: a, sha256: 12, roles: [match]}", "[0].sha256: must be text")
	check("{name: a, sha256: "+key+", roles: [match]}", "[0].sha256: must be the SHA-256 of the key, got a key")
	check("{name: "+key+", sha256: "+hashA+", roles: [match]}", "[0].name: must be a name, got a key")
	check(good+"{name: a, sha256: "+hashB+", roles: [match]}", `[1].name: "a" is also the name of access.keys[0]`)
	check(good+"{name: b, sha256: "+strings.ToUpper(hashA)+", roles: [match]}", "[1].sha256: is also the hash of access.keys[0]")
	check(with("account_id: x"), `[0].account_id: must be a UUID, got "x"`)
	check(with("account_id: 00000000-0000-0000-0000-000000000000"), "[0].account_id: must not be the nil UUID")
	check(with("lists: ["+listA+", "+strings.ToUpper(listA)+"]"), "[0].lists[1]: ")
	check(with("rate: 200"), "[0].rate: must be text")
	check(with("rate: 200/d"), "[0].rate: must be a number of requests")
	check(with("concurrent: -1"), "[0].concurrent: must be an integer from 0")
	check(with("expires: tomorrow"), `[0].expires: must be a time such as 2027-01-01T00:00:00Z, got "tomorrow"`)
	check(with("expires: 2027"), "[0].expires: must be a time")
	check(with("role: [match]"), "[0].role: is not a known key; did you mean roles?")
	check("{name: b, sha256: "+hashB+", roles: [admin], account_id: "+listA+"}", "[0].account_id: must not be given together with the role admin")
	check("{name: b, sha256: "+hashB+", roles: [match, admin], lists: ["+listA+"]}", "[0].lists: must not be given together with the role admin")

	one := func(text, want string) {
		t.Helper()
		if got := faultsOf(t, text, nil, nil); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	one("access: {open: [config]}", "access.open[0]: must be one of livez, readyz, version, metrics, docs, healthcheck")
	one("access: {jwt: {audience: ''}}", "access.jwt.audience: must be text")
	one("listen: '0.0.0.0:1'\naccess: {keys: [{name: a, sha256: x, roles: [match]}]}", "access.keys[0].sha256: ") // not also listen
	one("listen: '0.0.0.0:1'\ninsecure: perhaps", "insecure: ")
	one("listen: '0.0.0.0:1'\naccess: {keys: []}", "listen: must be a loopback address, because the server has no keys")
	var many []string
	for i := range access.KeysMax + 1 {
		many = append(many, fmt.Sprintf("{name: k%d, sha256: '%064x', roles: [match]}", i, i))
	}
	one("access: {keys: ["+strings.Join(many, ", ")+"]}", "access.keys: must have at most 1000 items, got 1001")

	_, warnings, err := Read(writeFile(t, "access: {keys: ["+with("expires: 2020-01-01T00:00:00Z")+"]}"), nil, nil)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "access.keys[0].expires: the key b expired at 2020-01-01T00:00:00Z") {
		t.Error(err, warnings)
	}
	_, warnings, err = Read(writeFile(t, ""), []string{"NEARSIDE_KEY=" + key, "NEARSIDE_KEYS=x"}, nil) // the variable of clients
	if err != nil || len(warnings) != 1 || strings.Contains(warnings[0], key) {
		t.Error(err, warnings)
	}
}

// TestKeyFile checks what `nearside key check` reports, and that it accepts the lines of
// `nearside key new`.
func TestKeyFile(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var keys []access.Key
	for i, k := range []access.Key{
		{Name: "a", Roles: []access.Role{access.Match}},
		{Name: "true", Roles: []access.Role{access.Read, access.Write}, Account: matcher.MustID(listA), Lists: []matcher.ID{matcher.MustID(listA)}, Rate: access.Rate{Requests: 3, Per: time.Minute}, Concurrent: 2, Expires: now.Add(time.Hour)},
		{Name: "007", Roles: []access.Role{access.Admin}, Expires: now},
	} {
		k.SHA256[0] = byte(i + 1)
		keys = append(keys, k)
	}
	var lines []string
	for _, k := range keys {
		lines = append(lines, KeyLine(k))
	}
	check := func(text string, want KeyReport) {
		t.Helper()
		got, err := CheckKeyFile(writeFile(t, text), now)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	expired := []string{"access.keys[2].expires: the key 007 expired at 2026-05-01T00:00:00Z and is refused; remove it, or replace it by a new one"}
	check(strings.Join(lines, "\n"), KeyReport{Keys: 3, Expired: expired})
	check("# keys\n---\n"+strings.Join(lines, "\n")+"\n", KeyReport{Keys: 3, Expired: expired})
	whole := "listen: nowhere\nnew: {}\naccess:\n  keys:\n  - " + strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n  ")[2:]
	check(whole, KeyReport{Keys: 3, Expired: expired})
	c, _, err := Read(writeFile(t, strings.TrimPrefix(whole, "listen: nowhere\nnew: {}\n")), nil, nil)
	if diff := cmp.Diff(keys, c.Access.Keys); err != nil || diff != "" {
		t.Error(err, diff)
	}
	twice := []string{`access.keys[1].name: "a" is also the name of access.keys[0]`, "access.keys[1].sha256: is also the hash of access.keys[0]; each key needs its own"}
	check(lines[0]+"\n"+lines[0], KeyReport{Keys: 2, Faults: twice})
	check("- x\n"+lines[0]+"\n- {name: b}", KeyReport{Keys: 3, Faults: []string{
		`access.keys[0]: must be a map in JSON, got "x"`, "access.keys[2].roles: is missing", "access.keys[2].sha256: is missing",
	}})
	for text, want := range map[string]string{"": "must have a list access.keys", "access: {}": "must have a list", "access: {keys: 5}": "must be a list", "a: [": "yaml"} {
		if _, err := CheckKeyFile(writeFile(t, text), now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := CheckKeyFile("/nowhere", now); err == nil {
		t.Error("no error")
	}
	if h := hex.EncodeToString(keys[1].SHA256[:]); !strings.Contains(lines[1], h) {
		t.Error(lines[1])
	}
}
