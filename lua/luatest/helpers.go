package luatest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// NewLines returns an empty log.
func NewLines() *Lines { return &Lines{Lines: make(chan string, 1000)} }

// Lines collects the lines that plugins logged.
type Lines struct {
	mu    sync.Mutex
	text  []string
	Lines chan string // receives each line, except while it is full
}

// Write adds a line.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(b))
	select {
	case l.Lines <- string(b):
	default:
	}
	return len(b), nil
}

// All returns all lines.
func (l *Lines) All() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "")
}

// Wait waits until a line that contains want was logged. It fails the test after
// 20 s.
func (l *Lines) Wait(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for !strings.Contains(l.All(), want) {
		select {
		case <-l.Lines:
		case <-timeout:
			t.Fatalf("no line with %q in:\n%s", want, l.All())
		}
	}
}

// Folder writes files to a new temporary folder and returns its path. The keys of
// files are file names.
func Folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// BackgroundPlugin returns the source of a background plugin named p.
func BackgroundPlugin(body string) string {
	return "local ns = require('nearside')\nlocal M = {api = 1, name = 'p', kinds = {'background'}}\n" + body + "\nreturn M"
}

// MatchingPlugin returns the source of a matching plugin named p.
func MatchingPlugin(body string) string {
	return "local ns = require('nearside')\nlocal M = {api = 1, name = 'p', kinds = {'matching'}}\n" + body + "\nreturn M"
}

// WantLines checks that all contains the texts of want, in this order.
func WantLines(t *testing.T, all string, want ...string) {
	t.Helper()
	rest := all
	for _, line := range want {
		_, after, ok := strings.Cut(rest, line)
		if !ok {
			t.Fatalf("%q is missing, or not in order, in:\n%s", line, all)
		}
		rest = after
	}
}

// QuoteLua quotes text as a Lua string. text must not contain "]==]".
func QuoteLua(text string) string { return "[==[" + text + "]==]" }

// WaitFor polls until ok returns true, and fails the test after 20 s.
func WaitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the condition is not true after 20 s")
		}
	}
}

// WantNoSecret fails the test if [Password] or one of secrets was logged.
func (l *Lines) WantNoSecret(t *testing.T, secrets ...string) {
	t.Helper()
	for _, s := range append(secrets, Password) {
		if strings.Contains(l.All(), s) {
			t.Errorf("%q was logged:\n%s", s, l.All())
		}
	}
}
