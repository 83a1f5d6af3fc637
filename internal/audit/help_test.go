package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearside/matcher"
	"nearside/matcher/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

// keeper is a store that keeps records and the head in memory.
type keeper struct {
	mu      sync.Mutex
	head    []byte
	records []store.AuditRecord
	commits uint64
	starts  int // each begins a minute later
}

func (k *keeper) AuditState(context.Context) ([]byte, []store.AuditRecord, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.head), cloneRecords(k.records), nil
}

func cloneRecords(all []store.AuditRecord) []store.AuditRecord {
	var copies []store.AuditRecord
	for _, r := range all {
		copies = append(copies, store.AuditRecord{ID: r.ID, Data: slices.Clone(r.Data)})
	}
	return copies
}

func (k *keeper) KeepAuditHead(head []byte, before matcher.ID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.head = slices.Clone(head)
	k.records = slices.DeleteFunc(k.records, func(r store.AuditRecord) bool { return r.ID.Compare(before) < 0 })
	return nil
}

// commit makes records durable, and returns them as the store passes them on.
func (k *keeper) commit(data ...[]byte) []store.AuditRecord {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.commits++
	var group []store.AuditRecord
	for i := range data {
		var id matcher.ID
		binary.BigEndian.PutUint64(id[:], k.commits)
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		group = append(group, store.AuditRecord{ID: id, Data: data[i]})
	}
	k.records = append(k.records, cloneRecords(group)...)
	return group
}

// logText is a log that tests read.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// bench is a Log in a folder of the test, with a clock that advances by 1 ms per reading.
type bench struct {
	*Log
	t      testing.TB
	keeper *keeper
	path   string
	text   *logText
	clock  *time.Time
}

func keyFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audit.key")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// open opens an audit in dir. It has no background work: tests call checkpoint.
func open(t testing.TB, dir string, k *keeper, change ...func(*Settings)) *bench {
	t.Helper()
	b := &bench{t: t, keeper: k, path: filepath.Join(dir, "audit.log"), text: &logText{}}
	s := Settings{File: b.path, KeyFile: keyFile(t, secret+"\n"), MaxBytes: 1 << 30, Match: true}
	for _, c := range change {
		c(&s)
	}
	b.Log = New(slog.New(slog.NewTextHandler(b.text, nil)))
	b.unsynced = true
	start := time.Date(2026, 5, 1, 12, k.starts, 0, 0, time.UTC)
	k.starts++
	b.clock = &start
	b.now = func() time.Time { *b.clock = b.clock.Add(time.Millisecond); return *b.clock }
	if err := b.Open(t.Context(), s, k); err != nil {
		t.Fatal(err)
	}
	b.end() // tests make checkpoints when they want
	<-b.ended
	return b
}

// kill ends the audit as the end of the process does.
func (b *bench) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range append(b.old, b.file) {
		if f != nil {
			_ = f.Close()
		}
	}
	b.file, b.old = nil, nil
}

func (b *bench) match(n int) {
	b.t.Helper()
	e := &Entry{RequestID: fmt.Sprint("match-", n), Operation: "matchFaces", Start: *b.clock}
	if err := b.Add(e, 201); err != nil {
		b.t.Fatal(err)
	}
}

// record returns the record of a write of one face.
func (b *bench) record(n int) []byte {
	b.t.Helper()
	e := &Entry{RequestID: fmt.Sprint("write-", n), Operation: "putFace", Status: 200, Start: *b.clock}
	data, err := b.Record(With(b.t.Context(), e), []store.Change{{Kind: store.PutObject, Object: &matcher.Object{ID: matcher.ID{byte(n)}}}})
	if err != nil || data == nil || !e.Recorded() {
		b.t.Fatal(data, err)
	}
	return data
}

func (b *bench) write(n int) { b.t.Helper(); b.Copy(b.keeper.commit(b.record(n))) }

func (b *bench) files() []string {
	b.t.Helper()
	names, err := rotatedFiles(b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	return append(names, b.path)
}

func (b *bench) verify(head *Head) (Report, error) {
	b.t.Helper()
	key, err := ReadKey(keyFile(b.t, secret))
	if err != nil {
		b.t.Fatal(err)
	}
	return Verify(key, b.files(), head)
}

// mustVerify fails the test if the audit has a fault.
func (b *bench) mustVerify() Report {
	b.t.Helper()
	head := b.Head()
	r, err := b.verify(&head)
	if err != nil || r.Head != head {
		b.t.Fatalf("%v, head %s, want %s\n%s", err, r.Head, head, b.text)
	}
	return r
}

// oracleLine is what another program reads of a line.
type oracleLine struct {
	Seq       uint64 `json:"seq"`
	RequestID string `json:"request_id"`
	Operation string `json:"operation"`
	Time      time.Time
	Status    int
	Count     int
	Prev      string
	Hash      string
}

var hashField = regexp.MustCompile(`,"hash":"([0-9a-f]{64})"\}$`)

// oracle reads the lines of files with other code than that of the package: it checks the
// chain with the standard library only. Torn lines are skipped.
func oracle(t testing.TB, names []string) (lines []oracleLine) {
	t.Helper()
	prev := strings.Repeat("0", 64)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.Lines(string(data)) {
			text = strings.TrimSuffix(text, "\n")
			found := hashField.FindStringSubmatch(text)
			var l oracleLine
			if found == nil || json.Unmarshal([]byte(text), &l) != nil {
				continue
			}
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(strings.Replace(text, `,"hash":"`+found[1]+`"`, "", 1)))
			if sum := hex.EncodeToString(mac.Sum(nil)); sum != l.Hash || l.Prev != prev || l.Seq != uint64(len(lines)+1) {
				t.Fatalf("line %d of the chain, hash %s, prev %s: %s", len(lines)+1, sum, prev, text)
			}
			prev = l.Hash
			lines = append(lines, l)
		}
	}
	return lines
}

// requests returns the request ids of operations of the API, in order.
func requests(lines []oracleLine) (ids []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l.Operation, "audit.") {
			ids = append(ids, l.RequestID)
		}
	}
	return ids
}
