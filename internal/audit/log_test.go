package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
)

// TestLine checks the fields of a line, their order, and their bounds.
func TestLine(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	e := &Entry{
		RequestID: "1796128954,ac6eea39-5674-4729-9ea8-06a3455d780f", Key: "gate \"7\"", Account: "a", Address: "::1", Operation: "matchFaces",
		Target: "/1/matcher/faces?ns_" + strings.Repeat("a", 32), Start: *b.clock, Filters: [][]byte{[]byte(`{"origin":"faces"}`)},
	}
	e.AddReferences([]matcher.Reference{{Type: "face", ID: "x", Descriptor: matcher.Descriptor{Data: []byte("abc")}}, {Type: "together", Parts: []matcher.Reference{{Type: "face", ID: "y"}}}})
	for n := range 150 {
		e.AddResult(matcher.ID{15: byte(n)})
	}
	if err := b.Add(e, 201); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for n := range 100 {
		ids = append(ids, fmt.Sprintf(`"00000000-0000-0000-0000-0000000000%02x"`, n))
	}
	want := `{"seq":1,"time":"2026-05-01T12:00:00.001Z","request_id":"1796128954,ac6eea39-5674-4729-9ea8-06a3455d780f","key":"gate \"7\"","account_id":"a","address":"::1","operation":"matchFaces",` +
		`"target":"/1/matcher/faces?***","references":[{"type":"face","id":"x","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},{"type":"together","id":"","sha256":""},{"type":"face","id":"y","sha256":""}],` +
		`"filters":[{"origin":"faces"}],"results":[` + strings.Join(ids, ",") + `],"count":150,"status":201,"ms":1.000,"prev":"` + strings.Repeat("0", 64) + `","hash":"`
	data, err := os.ReadFile(b.path)
	if err != nil || !strings.HasPrefix(string(data), want) || len(data) != len(want)+64+len("\"}\n") {
		t.Errorf("%v\n%s\nwant\n%s", err, data, want)
	}
	if lines := oracle(t, b.files()); len(lines) != 1 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestLongLine checks that no entry makes a line longer than a reader accepts.
func TestLongLine(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	long := strings.Repeat("\x01", 100_000)
	e := &Entry{RequestID: long, Key: long, Account: long, Address: long, Operation: long, Target: long}
	for range 5000 {
		e.References = append(e.References, Reference{Type: "face", ID: long, SHA256: [32]byte{1}})
		e.Filters = append(e.Filters, []byte(`{"a":"`+strings.Repeat("x", 16_000)+`"}`))
	}
	if err := b.Add(e, 201); err != nil {
		t.Fatal(err)
	}
	e.Filters = [][]byte{[]byte(`"` + strings.Repeat("x", FilterBytesMax) + `"`)}
	if err := b.Add(e, 201); err != nil {
		t.Fatal(err)
	}
	b.mustVerify()
	lines, _, err := Tail(b.path, 1)
	if err != nil {
		t.Fatal(err)
	}
	var l struct {
		References []struct{ Type, ID string }
		Filters    []struct{ Bytes int }
	}
	if err := json.Unmarshal(lines[0], &l); err != nil || len(l.References) != ReferencesMax || l.References[999].ID != "4001" || l.References[999].Type != "omitted" ||
		len(l.Filters) != 1 || l.Filters[0].Bytes != FilterBytesMax+2 {
		t.Errorf("%v %d %+v", err, len(l.References), l.Filters)
	}
}

// TestRecords checks which records writes of each cause have.
func TestRecords(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	face := func(n byte, created bool) store.Change {
		return store.Change{Kind: store.PutObject, Created: created, Object: &matcher.Object{ID: matcher.ID{15: n}}}
	}
	check := func(cause matcher.Cause, e *Entry, want string, changes ...store.Change) {
		t.Helper()
		ctx := matcher.WithCause(t.Context(), cause)
		if e != nil {
			ctx = With(ctx, e)
		}
		data, err := b.Record(ctx, changes)
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%v: want %s in %s", err, want, data)
		}
	}
	check(matcher.PluginCause("ingest"), nil, `"key":"plugin:ingest","account_id":"","address":"","operation":"pluginWrite"`, face(1, true))
	check(matcher.CauseExpiry, nil, `"operation":"expire"`, store.Change{Kind: store.DeleteObject, ID: matcher.ID{15: 2}})
	check(matcher.CauseRetention, nil, `"operation":"retention"`, store.Change{Kind: store.DeleteObject})
	check(matcher.CauseErasure, nil, `"operation":"erase"`, store.Change{Kind: store.DeleteObject})
	check("", nil, `"operation":"internalWrite"`, store.Change{Kind: store.DeleteObject})
	put := func() *Entry { return &Entry{Operation: "putFace", Status: 200, Created: true} }
	check("", put(), `"count":1,"status":201`, face(1, true))
	check("", put(), `"count":1,"status":200`, face(1, false))
	check("", &Entry{Operation: "importObjects", Status: 200}, `"results":["00000000-0000-0000-0000-000000000001"],"count":1,"status":200`,
		store.Change{Kind: store.PutList, List: &matcher.List{}}, face(1, true))
	check("", &Entry{Operation: "createList", Status: 201}, `"results":["00000000-0000-0000-0000-000000000009"],"count":1,"status":201`,
		store.Change{Kind: store.PutList, List: &matcher.List{ID: matcher.ID{15: 9}}})
	check("", &Entry{Operation: "deleteList", Status: 204}, `"results":["00000000-0000-0000-0000-000000000008"],"count":1,"status":204`,
		store.Change{Kind: store.DeleteList, ID: matcher.ID{15: 8}})
}

// TestRotation checks that a chain goes on over rotated files, that old ones are removed,
// and that a restart goes on after each of them.
func TestRotation(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	small := func(s *Settings) { s.MaxBytes, s.Keep = 2000, 3 }
	var written []string
	for round := range 12 {
		b := open(t, dir, k, small)
		for n := range 5 {
			b.match(10*round + n)
			b.write(10*round + n)
			written = append(written, fmt.Sprint("match-", 10*round+n), fmt.Sprint("write-", 10*round+n))
		}
		if round%2 == 0 {
			b.checkpoint()
		}
		r := b.mustVerify()
		if names := b.files(); len(names) > 4+5 || round%2 == 0 && len(names) > 4 || r.Head.Seq != uint64(len(written)) {
			t.Fatal(len(names), r)
		}
		for _, name := range b.files() {
			if info, err := os.Stat(name); err != nil || info.Size() > 2000 {
				t.Error(name, info.Size(), err)
			}
		}
		b.kill()
	}
}

// TestKilledBeforeCheckpoint kills the first process of a data directory after a rotation,
// before the head was kept.
func TestKilledBeforeCheckpoint(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	small := func(s *Settings) { s.MaxBytes = 1000 }
	b := open(t, dir, k, small)
	for n := range 9 {
		b.write(n)
	}
	b.kill()
	b = open(t, dir, k, small)
	defer b.kill()
	if lines := oracle(t, b.files()); len(lines) != 9 {
		t.Errorf("%d lines, want 9", len(lines))
	}
}

// TestMovedFile checks that the audit goes on, with a gap that is found, when its files are
// moved away or removed.
func TestMovedFile(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	b := open(t, dir, k)
	b.match(1)
	if err := os.Rename(b.path, filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	b.checkpoint()
	b.match(2)
	b.checkpoint()
	head := b.Head()
	key, _ := ReadKey(keyFile(t, secret))
	if r, err := Verify(key, []string{b.path, filepath.Join(dir, "elsewhere")}, &head); err != nil || r.Lines != 2 {
		t.Error(r, err)
	}
	b.kill()
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, k)
	b.match(3)
	b.mustVerify() // line 3 alone
	if !strings.Contains(b.text.String(), "lines of the audit are missing") || b.Head().Seq != 3 {
		t.Error(b.text, b.Head())
	}
	if _, err := Verify(key, []string{b.path, filepath.Join(dir, "elsewhere")}, nil); err == nil || !strings.Contains(err.Error(), "line 2 is missing") {
		t.Error(err)
	}
	b.kill()
}

// TestFailure checks that nothing is lost while the file cannot be written, and that
// operations are refused meanwhile.
func TestFailure(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	b := open(t, filepath.Join(dir, "."), k)
	b.match(1)
	last := b.record(3)
	_ = b.file.Close() // further writes fail
	b.Copy(b.keeper.commit(b.record(2), last))
	if err := b.Err(); matcher.CodeOf(err) != matcher.CodeFull {
		t.Error(err)
	}
	if err := b.Add(&Entry{}, 201); matcher.CodeOf(err) != matcher.CodeFull {
		t.Error(err)
	}
	if _, err := b.Record(t.Context(), []store.Change{{Kind: store.DeleteObject}}); matcher.CodeOf(err) != matcher.CodeFull {
		t.Error(err)
	}
	if s := b.Stats(); s.Pending != 2 || !s.Failing || s.Failures != 1 || s.Lines != 1 {
		t.Error(s)
	}
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	b.checkpoint() // still fails
	if b.Err() == nil {
		t.Error("written without a folder")
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	b.checkpoint()
	b.match(4)
	b.mustVerify()
	if got := strings.Join(requests(oracle(t, b.files())), " "); got != "match-1 write-2 write-3 match-4" || b.Stats().Pending != 0 {
		t.Error(got, b.Stats())
	}
	b.checkpoint()
	if len(k.records) != 0 {
		t.Error(k.records)
	}
	b.kill()
}

// TestConfigure checks the settings that a reload changes.
func TestConfigure(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	b := open(t, dir, k)
	defer b.kill()
	b.match(1)
	s := b.Settings()
	configure := func(change func(*Settings)) {
		t.Helper()
		change(&s)
		if err := b.Configure(s); err != nil {
			t.Fatal(err)
		}
	}
	configure(func(s *Settings) { s.Match = false })
	first := s.File
	configure(func(s *Settings) { s.File = filepath.Join(dir, "second.log") })
	b.match(2)
	configure(func(s *Settings) { s.File = first })
	b.match(3)
	b.path = first
	names := []string{first, filepath.Join(dir, "second.log")}
	key, _ := ReadKey(keyFile(t, secret))
	if _, err := Verify(key, names, nil); err == nil || !strings.Contains(err.Error(), "wrong place") {
		t.Error(err) // the lines of the first file are not in one piece
	}
	configure(func(s *Settings) { s.File = "" })
	if err := b.Add(&Entry{}, 201); err != nil || b.Settings().File != "" {
		t.Error(err)
	}
	if data, err := b.Record(t.Context(), []store.Change{{}}); data != nil || err != nil {
		t.Error(data, err)
	}
	before := b.Head()
	configure(func(s *Settings) {
		s.File, s.KeyFile = filepath.Join(dir, "third.log"), keyFile(t, strings.Repeat("k", 32))
	})
	b.match(4)
	other, _ := ReadKey(s.KeyFile)
	if r, err := Verify(other, []string{s.File}, &before); err != nil || r.First != before.Seq+1 {
		t.Error(r, err)
	}
	configure(func(s *Settings) { s.KeyFile = keyFile(t, secret) }) // the same file with another key
	b.match(5)
	if r, err := Verify(key, []string{s.File}, nil); err != nil || r.Lines != 1 {
		t.Error(r, err)
	}
	bad := s
	bad.KeyFile = filepath.Join(dir, "missing")
	if err := b.Configure(bad); err == nil || b.Settings() != s {
		t.Error(err)
	}
	bad = s
	bad.File = filepath.Join(dir, "missing", "a.log")
	if err := b.Configure(bad); err == nil || b.Settings() != s {
		t.Error(err)
	}
	b.match(6)
	if r, err := Verify(key, []string{s.File}, nil); err != nil || r.Head != b.Head() {
		t.Error(r, err)
	}
}

// TestOtherKey checks that a start with another key begins a new file.
func TestOtherKey(t *testing.T) {
	k, dir := &keeper{}, t.TempDir()
	b := open(t, dir, k)
	b.match(1)
	b.checkpoint()
	b.kill()
	b = open(t, dir, k, func(s *Settings) { s.KeyFile = keyFile(t, strings.Repeat("k", 32)) })
	defer b.kill()
	b.match(2)
	other, _ := ReadKey(b.Settings().KeyFile)
	if r, err := Verify(other, []string{b.path}, nil); err != nil || r.First != 2 || r.Lines != 1 || len(b.files()) != 2 {
		t.Error(r, err, b.text)
	}
}

// TestDenied checks that refused requests have one line per address and minute.
func TestDenied(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	for range 5 {
		b.Denied("10.0.0.1", "", 401)
	}
	b.Denied("10.0.0.2", "", 401)
	b.Denied("10.0.0.2", "gate", 429)
	if b.denied.minuteOver(*b.clock) || !b.denied.minuteOver(b.clock.Add(time.Minute)) {
		t.Error("the minute is wrong")
	}
	b.flushDenied()
	b.flushDenied()
	for n := range 10_000 {
		b.Denied(strconv.Itoa(n), "", 401)
	}
	b.flushDenied()
	lines := oracle(t, b.files())
	counts, total := []string{}, 0
	for i, l := range lines {
		if l.Operation != OperationDenied {
			t.Error(l)
		}
		if i < 3 {
			counts = append(counts, fmt.Sprint(l.Count, "/", l.Status))
		} else {
			total += l.Count
		}
	}
	slices.Sort(counts)
	if strings.Join(counts, " ") != "1/401 1/429 5/401" || total != 10_000 || len(lines) != 3+denialsMax+1 {
		t.Error(counts, total, len(lines))
	}
}

// TestSecondProcess checks that two processes cannot write the same file.
func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, &keeper{})
	defer b.kill()
	second := New(b.log)
	if err := second.Open(t.Context(), b.Settings(), &keeper{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
}

// TestKeyFile checks the bounds of keys, and that a key is never printed.
func TestKeyFile(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 15) + "\n", strings.Repeat("x", 5000)} {
		if _, err := ReadKey(keyFile(t, text)); err == nil || !strings.Contains(err.Error(), "must have 16 to 4096 bytes") {
			t.Error(len(text), err)
		}
	}
	k, err := ReadKey(keyFile(t, secret+"\r\n"))
	if err != nil || string(k.secret) != secret {
		t.Error(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", k, k, k, &k); strings.Contains(text, "0123") {
		t.Error(text)
	}
}
