package access

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// TestNewKey checks the form of new keys, and that every character occurs at every place
// about equally often.
func TestNewKey(t *testing.T) {
	const keys = 20_000
	var counts [keyChars]map[rune]int
	for i := range counts {
		counts[i] = map[rune]int{}
	}
	seen := map[string]bool{}
	for range keys {
		key := NewKey()
		if len(key) != 35 || !strings.HasPrefix(key, "ns_") || !IsKey(key) || seen[key] {
			t.Fatalf("%q", key)
		}
		seen[key] = true
		for i, r := range key[3:] {
			counts[i][r]++
		}
	}
	for i, count := range counts {
		if len(count) != 62 {
			t.Errorf("place %d has %d characters, want 62", i, len(count))
		}
		for r, n := range count { // the mean is 322.6, and its standard deviation 17.8
			if n < 200 || n > 450 {
				t.Errorf("place %d: %q occurs %d times", i, r, n)
			}
		}
	}
}

func TestKeyForm(t *testing.T) {
	key := "ns_" + strings.Repeat("aZ09", 8)
	check := func(text string, whole, within bool) {
		t.Helper()
		if IsKey(text) != whole || HasCredential(text) != within {
			t.Errorf("%q: %v %v", text, IsKey(text), HasCredential(text))
		}
	}
	check(key, true, true)
	check("", false, false)
	check(key[1:], false, false)
	check(key[:34], false, false)
	check(key+"a", false, true)
	check(key+"\n", false, true)
	check(strings.ToUpper(key), false, false)
	check("/1/faces?external_ids="+key+"&page=1", false, true)
	check("x"+key+"x", false, true)
	check("/1/faces?t=eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln", false, true)
	check("/1/faces?t=eyJhbGciOiJub25lIn0.eyJleHAiOjF9.", false, true)
	check("eyJ", false, false)
	if got := Mask("a "+key+" b", "***"); got != "a *** b" {
		t.Error(got)
	}
	// The hash is plain SHA-256, which other programs can compute, too.
	sum := HashKey("abc")
	if got := hex.EncodeToString(sum[:]); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(got)
	}
}

func TestRates(t *testing.T) {
	check := func(text string, perSecond float64) {
		t.Helper()
		r, err := ParseRate(text)
		if (err == nil) != (perSecond > 0) || err == nil && (r.perSecond() != perSecond || r.String() != text) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	check("200/s", 200)
	check("1/s", 1)
	check("90/m", 1.5)
	check("7200/h", 2)
	check("1000000/s", 1_000_000)
	for _, wrong := range []string{"", "200", "200/", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "1000001/s", "200/d", "200/s ", "200 /s", "99999999999999999999/s"} {
		check(wrong, 0)
	}
	if text := (Rate{}).String(); text != "" {
		t.Error(text)
	}
}

func TestCheckKey(t *testing.T) {
	check := func(k Key, want string) {
		t.Helper()
		err := k.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check(Key{Roles: []Role{Match}}, "")
	check(Key{}, "roles: ")
	check(Key{Roles: []Role{NoRole}}, "roles: ")
	check(Key{Roles: []Role{Match, Admin}, Account: matcher.ID{1}}, "account_id: ")
	check(Key{Roles: []Role{Admin}, Lists: []matcher.ID{{1}}}, "lists: ")
	check(Key{Roles: []Role{Write}, Account: matcher.ID{1}, Lists: []matcher.ID{{1}}}, "")
}

// someKeys returns a policy with some keys, and the keys by name.
func someKeys(t *testing.T, now time.Time) (*Policy, map[string]string) {
	t.Helper()
	secrets := map[string]string{}
	var keys []Key
	for _, k := range []Key{
		{Name: "gate", Roles: []Role{Match}},
		{Name: "reader", Roles: []Role{Read, Match}, Account: matcher.ID{1}},
		{Name: "old", Roles: []Role{Admin}, Expires: now},
		{Name: "writer", Roles: []Role{Write}, Lists: []matcher.ID{{3}, {2}}, Expires: now.Add(time.Second)},
	} {
		secrets[k.Name] = NewKey()
		k.SHA256 = sha256.Sum256([]byte(secrets[k.Name]))
		keys = append(keys, k)
	}
	p, err := New(Config{Keys: keys, Open: []string{"livez"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, secrets
}

func TestIdentify(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	p, secrets := someKeys(t, now)
	if !p.Required() || !p.Opens("livez") || p.Opens("metrics") {
		t.Error("wrong policy")
	}
	refused := func(credential string, at time.Time, want string) {
		t.Helper()
		c, err := p.Identify(credential, at)
		if c != nil || matcher.CodeOf(err) != matcher.CodeUnauthorized || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %q", c, err, want)
		}
		if credential != "" && strings.Contains(err.Error(), credential) {
			t.Errorf("the error has the key: %v", err)
		}
	}
	gate, err := p.Identify(secrets["gate"], now)
	if err != nil || gate.Name != "gate" || gate.Role != Match || gate.Account != nil || gate.Lists != nil {
		t.Errorf("%+v, %v", gate, err)
	}
	reader, err := p.Identify(secrets["reader"], now)
	if err != nil || reader.Name != "reader" || reader.Role != Read || *reader.Account != (matcher.ID{1}) {
		t.Errorf("%+v, %v", reader, err)
	}
	writer, err := p.Identify(secrets["writer"], now)
	if err != nil || writer.Role != Write || len(writer.Lists) != 2 || writer.Lists[0] != (matcher.ID{2}) {
		t.Errorf("%+v, %v", writer, err)
	}
	refused(secrets["writer"], now.Add(time.Second), "has expired")
	refused(secrets["old"], now, "has expired")
	if _, err := p.Identify(secrets["old"], now.Add(-1)); err != nil {
		t.Error(err)
	}
	refused(NewKey(), now, "is unknown")
	refused("", now, "is not valid")
	refused("gate", now, "is not valid")
	sum := HashKey(secrets["gate"])
	refused(hex.EncodeToString(sum[:]), now, "is not valid") // the hash is not a key
	refused(secrets["gate"]+" ", now, "is not valid")

	for _, c := range []struct {
		caller *Caller
		role   Role
		want   bool
	}{{gate, NoRole, true}, {gate, Match, true}, {gate, Read, false}, {reader, Match, true}, {reader, Read, true}, {reader, Write, false}, {writer, Write, true}, {writer, Admin, false}} {
		if err := c.caller.Allow(c.role); (err == nil) != c.want || err != nil && matcher.CodeOf(err) != matcher.CodeForbidden {
			t.Errorf("%s %s: %v", c.caller.Name, c.role, err)
		}
	}
	if (*Policy)(nil).Required() {
		t.Error("no policy requires a key")
	}
}

// TestLimits checks rates and concurrency with a clock of its own.
func TestLimits(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	l := &limiter{}
	l.configure(&Key{Rate: Rate{10, time.Second}, Concurrent: 12}, now)
	begin := func(want bool, retry time.Duration) {
		t.Helper()
		err := l.begin("gate", now)
		if (err == nil) != want {
			t.Fatalf("%v", err)
		}
		if e, ok := err.(*matcher.Error); !want && (!ok || e.Code != matcher.CodeBusy || e.RetryAfter != retry || !strings.Contains(e.Detail, "gate")) { //nolint:errorlint // it is not wrapped
			t.Fatalf("%#v", err)
		}
	}
	for range 10 { // the burst of one second
		begin(true, 0)
		l.end()
	}
	begin(false, 100*time.Millisecond)
	now = now.Add(99 * time.Millisecond)
	begin(false, time.Millisecond)
	now = now.Add(time.Millisecond)
	begin(true, 0)
	begin(false, 100*time.Millisecond)
	now = now.Add(time.Hour) // a long pause gives no more than one second
	for range 10 {
		begin(true, 0)
	}
	begin(false, 100*time.Millisecond)
	now = now.Add(time.Second)
	begin(true, 0) // 12 are in progress
	begin(false, time.Second)
	l.end()
	begin(true, 0)
	for range 12 {
		l.end()
	}
	now = now.Add(-time.Minute) // a clock that goes back gives nothing
	for range 8 {
		begin(true, 0)
		l.end()
	}
	begin(false, 100*time.Millisecond)

	// A reload with the same rate renews nothing; a slow rate allows one request at once.
	l.configure(&Key{Rate: Rate{10, time.Second}}, now)
	begin(false, 100*time.Millisecond)
	l.configure(&Key{Rate: Rate{30, time.Minute}}, now)
	begin(true, 0)
	begin(false, 2*time.Second)
}

// TestReload checks that a key keeps its counts when the policy is replaced.
func TestReload(t *testing.T) {
	key := Key{Name: "gate", SHA256: HashKey("a"), Roles: []Role{Match}, Concurrent: 1}
	before, err := New(Config{Keys: []Key{key}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error, want bool) {
		t.Helper()
		if (err == nil) != want {
			t.Fatal(err)
		}
	}
	now := time.Now()
	check(before.callers[0].Begin(now), true)
	key.SHA256 = HashKey("b") // the key was rotated
	after, err := New(Config{Keys: []Key{key}}, before)
	check(err, true)
	check(after.callers[0].Begin(now), false)
	before.callers[0].End()
	check(after.callers[0].Begin(now), true)
}
