package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nearside/matcher"
	"nearside/matcher/store"
)

// Settings configure a Log.
type Settings struct {
	File     string // the current file; empty: no audit
	KeyFile  string // the file with the secret of the hashes
	MaxBytes int64  // a file that would become larger is rotated
	Keep     int    // rotated files that are kept; 0: all
	Match    bool   // whether matches have lines
	Reads    bool   // whether reads of objects have lines
}

// Keeper keeps the head and the records of writes. It is a *store.Store.
type Keeper interface {
	// AuditState returns the head that was kept last, or nil, and all records, in order.
	AuditState(ctx context.Context) (head []byte, records []store.AuditRecord, err error)
	// KeepAuditHead keeps the head, and removes the records before an ID, in one step.
	KeepAuditHead(head []byte, before matcher.ID) error
}

// Stats are the figures of a Log.
type Stats struct {
	Lines    int64 // that were written since the start
	Failures int64 // lines that could not be written
	Pending  int   // records of writes that are not in the file yet
	Failing  bool  // lines cannot be written
}

// Log writes the audit. New makes it, Open starts it, Close ends it. Its methods are safe
// for concurrent use.
type Log struct {
	log      *slog.Logger
	now      func() time.Time
	settings atomic.Pointer[Settings] // File is empty if there is no audit
	denied   denials
	lines    atomic.Int64
	failures atomic.Int64
	failing  atomic.Bool // fault is not nil
	end      context.CancelFunc
	unsynced bool          // in tests: files are not synced, so a power loss would lose lines
	ended    chan struct{} // closed when the background work has ended; nil before Open

	mu       sync.Mutex // protects the fields below
	keeper   Keeper
	chain    *chain
	key      Key
	file     *os.File // nil: no audit, or the file could not be opened again
	path     string   // of file
	size     int64
	maxBytes int64
	first    uint64 // number of the first line of file; 0: it is empty
	head     Head
	pending  []store.AuditRecord // records whose lines are not in the file, in order
	copied   matcher.ID          // records before this ID have lines in the file
	unkept   bool                // head or copied have changed since they were kept
	renamed  bool                // a file was renamed since the folder was synced
	old      []*os.File          // to be synced and closed by the background work
	fault    error               // why lines cannot be written; nil: they can
	batch    *batch              // lines that wait for their write; nil: none
	buffer   []byte              // for lines
	content  []byte              // for the content of a line
}

// New returns a Log without an audit, for requests before Open.
func New(log *slog.Logger) *Log {
	l := &Log{log: log, now: time.Now}
	l.settings.Store(&Settings{})
	return l
}

// Check returns why the settings cannot be used, or nil. It changes nothing.
func Check(s Settings) error {
	if s.File == "" {
		return nil
	}
	if _, err := ReadKey(s.KeyFile); err != nil {
		return fmt.Errorf("audit.key_file: %w", err)
	}
	dir := filepath.Dir(s.File)
	switch info, err := os.Stat(dir); {
	case err != nil:
		return fmt.Errorf("audit.file: the folder cannot be used: %w", err)
	case !info.IsDir():
		return fmt.Errorf("audit.file: %s is not a folder", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("audit.file: no file can be created in %s: %w", dir, err)
	}
	if info, err := os.Stat(s.File); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("audit.file: %s is not a file", s.File)
	}
	return nil
}

// checkEvery is the time between two checkpoints.
const checkEvery = time.Second

// Open opens the current file, completes it, and starts the background work. It is called
// once, before anything is written to k.
func (l *Log) Open(ctx context.Context, s Settings, k Keeper) error {
	text, records, err := k.AuditState(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeper, l.pending = k, records
	if len(text) > 0 {
		if l.head, err = ParseHead(string(text)); err != nil {
			return fmt.Errorf("audit: the head in the store: %w", err)
		}
	}
	if s.File != "" {
		if err := l.start(s); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	background, end := context.WithCancel(context.Background())
	l.end, l.ended = end, make(chan struct{})
	go func() {
		defer close(l.ended)
		l.runBackground(background)
	}()
	return nil
}

// start reads the key and opens the file of s.
func (l *Log) start(s Settings) error {
	key, err := ReadKey(s.KeyFile)
	if err != nil {
		return fmt.Errorf("key_file: %w", err)
	}
	l.key, l.chain, l.maxBytes = key, newChain(key), s.MaxBytes
	if err := l.openFile(s.File); err != nil {
		return err
	}
	l.settings.Store(&s)
	return l.copyPending()
}

// Configure applies other settings. If it returns an error, the old ones stay in force.
func (l *Log) Configure(s Settings) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.writeBatch() // l.fault has the error
	current := *l.settings.Load()
	var key Key
	if s.File != "" {
		var err error
		if key, err = ReadKey(s.KeyFile); err != nil {
			return fmt.Errorf("audit.key_file: %w", err)
		}
	}
	if s == current && string(key.secret) == string(l.key.secret) {
		return nil
	}
	if current.File != "" && l.fault == nil {
		if err := l.addEntry(&Entry{Operation: OperationChanged, Target: s.File, Start: l.now()}, 200); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	l.maxBytes = s.MaxBytes
	if s.File == current.File && string(key.secret) == string(l.key.secret) {
		l.settings.Store(&s)
		return nil
	}
	before := *l.opened()
	l.key, l.chain, l.file = key, nil, nil
	if s.File == "" {
		l.retire(before.file)
		l.settings.Store(&s)
		l.clearFault()
		return nil
	}
	l.chain = newChain(key)
	if s.File == before.path && before.file != nil { // its lines have another key
		l.retire(before.file)
		if err := l.moveAway(before.path, before.first); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		before.file = nil
	}
	if err := l.openFile(s.File); err != nil {
		before.restore(l)
		return fmt.Errorf("audit: %w", err)
	}
	l.retire(before.file)
	l.clearFault()
	l.settings.Store(&s)
	return l.copyPending()
}

// opened is the current file with its key.
type opened struct {
	file  *os.File
	path  string
	size  int64
	first uint64
	key   Key
	chain *chain
}

func (l *Log) opened() *opened { return &opened{l.file, l.path, l.size, l.first, l.key, l.chain} }

// restore makes o the current file of l again.
func (o *opened) restore(l *Log) {
	l.file, l.path, l.size, l.first, l.key, l.chain = o.file, o.path, o.size, o.first, o.key, o.chain
	if l.file == nil {
		l.setFault(errors.New("no file is open"))
	}
}

// Close writes what has not been written yet, keeps the head, and closes the file. It is
// called before the store is closed.
func (l *Log) Close() error {
	if l.ended == nil {
		return nil
	}
	l.flushDenied()
	l.end()
	<-l.ended
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settings.Store(&Settings{})
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.writeBatch(), l.file.Close())
	l.file = nil
	return err
}

// Settings returns the settings in force.
func (l *Log) Settings() Settings { return *l.settings.Load() }

// Head returns the number and the hash of the last line.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Stats returns the current figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Lines: l.lines.Load(), Failures: l.failures.Load(), Pending: len(l.pending), Failing: l.fault != nil}
}

// Err returns why lines cannot be written, with CodeFull, or nil.
func (l *Log) Err() error {
	if !l.failing.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusal()
}

func (l *Log) refusal() error {
	if l.fault == nil {
		return nil
	}
	return matcher.Errorf(matcher.CodeFull, "the audit cannot be written: %w", l.fault).Mask("the audit cannot be written")
}

// Add writes the line of an entry, and returns when it is in the file. Lines of concurrent
// calls share a write. status is that of the answer. Add returns CodeFull if the
// line cannot be written. Without an audit it does nothing.
func (l *Log) Add(e *Entry, status int) error {
	if l.settings.Load().File == "" {
		return nil
	}
	l.mu.Lock()
	b, leader, err := l.addToBatch(e, status)
	l.mu.Unlock()
	if b == nil {
		return err
	}
	if leader {
		l.lead(b)
	}
	<-b.done
	return b.err
}

// setFault makes err the reason why lines cannot be written.
func (l *Log) setFault(err error) {
	if l.fault == nil {
		l.log.Error("the audit cannot be written: operations that need a line are refused; trying again", "file", l.path, "error", err)
	}
	l.fault = err
	l.failing.Store(true)
}

func (l *Log) clearFault() {
	l.fault = nil
	l.failing.Store(false)
}
