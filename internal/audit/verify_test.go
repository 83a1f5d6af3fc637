package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tampered is an audit of several files, as lines.
type tampered struct {
	t     *testing.T
	names []string
	files [][][]byte // lines with their newlines, by file
	head  Head
	key   Key
}

func newTampered(t *testing.T) *tampered {
	t.Helper()
	b := open(t, t.TempDir(), &keeper{}, func(s *Settings) { s.MaxBytes = 2000 })
	for n := range 14 {
		b.match(n)
	}
	x := &tampered{t: t, names: b.files(), head: b.Head()}
	x.key, _ = ReadKey(keyFile(t, secret))
	b.kill()
	for _, name := range x.names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(data, []byte("\n"))
		x.files = append(x.files, lines[:len(lines)-1])
	}
	if len(x.files) < 3 || len(x.files[0]) < 3 {
		t.Fatal(len(x.files))
	}
	return x
}

// check verifies the files after a change of their lines.
func (x *tampered) check(name, want string, head *Head, change func(files [][][]byte)) {
	x.t.Helper()
	files := make([][][]byte, len(x.files))
	for i := range files {
		files[i] = slices.Clone(x.files[i])
	}
	change(files)
	dir := x.t.TempDir()
	var names []string
	for i := range files {
		if files[i] == nil {
			continue // removed
		}
		path := filepath.Join(dir, filepath.Base(x.names[i]))
		if err := os.WriteFile(path, bytes.Join(files[i], nil), 0o600); err != nil {
			x.t.Fatal(err)
		}
		names = append(names, path)
	}
	slices.Reverse(names) // the order does not matter
	_, err := Verify(x.key, names, head)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		x.t.Errorf("%s: %v, want %s", name, err, want)
	}
}

// TestTampering checks that each kind of change is found, in the first file, in the middle,
// in the last one and between files.
func TestTampering(t *testing.T) {
	x := newTampered(t)
	last := len(x.files) - 1
	x.check("nothing", "", &x.head, func([][][]byte) {})
	for f := range x.files {
		for i, line := range x.files[f] {
			where := fmt.Sprintf("file %d line %d", f, i)
			fields := []string{`"request_id":"match`, `"status":201`, `"time":"2026`, `"prev":"`, `"hash":"`, `"seq":`}
			for _, field := range fields {
				at := bytes.Index(line, []byte(field)) + len(field) - 1
				if field[len(field)-1] == '"' || field[len(field)-1] == ':' {
					at++
				}
				x.check(where+" changed "+field, "line", &x.head, func(files [][][]byte) {
					c := slices.Clone(line)
					c[at] ^= 1
					files[f][i] = c
				})
			}
			isLast, isFirst := f == last && i == len(x.files[f])-1, f == 0 && i == 0
			if !isFirst {
				want := "is missing"
				if isLast {
					want = "that of the given head, are missing"
				}
				x.check(where+" removed", want, &x.head, func(files [][][]byte) { files[f] = slices.Delete(files[f], i, i+1) })
			}
			x.check(where+" repeated", "wrong place", &x.head, func(files [][][]byte) { files[f] = slices.Insert(files[f], i, line) })
			x.check(where+" cut", "line", &x.head, func(files [][][]byte) { files[f][i] = line[:len(line)/2] })
			x.check(where+" cut before its newline", "line", &x.head, func(files [][][]byte) {
				if files[f][i] = line[:len(line)-1]; isLast || i == len(x.files[f])-1 {
					files[f][i] = line[:len(line)-2] // the newline at the end of a file does not matter
				}
			})
			x.check(where+" preceded by text", "not a line", &x.head, func(files [][][]byte) { files[f] = slices.Insert(files[f], i, []byte("foreign\n")) })
			if i > 0 {
				x.check(where+" in the place of the one before", "", nil, func([][][]byte) {})
				x.check(where+" swapped", "wrong place", &x.head, func(files [][][]byte) {
					if isFirst = f == 0 && i == 1; isFirst {
						files[f] = append(files[f], files[f][1]) // the first two lines alone would only begin later
						return
					}
					files[f][i], files[f][i-1] = files[f][i-1], files[f][i]
				})
			}
		}
	}
	for f := 1; f < last; f++ {
		x.check(fmt.Sprintf("file %d removed", f), "are missing", &x.head, func(files [][][]byte) { files[f] = nil })
	}
	x.check("last file removed", "up to 14, that of the given head, are missing", &x.head, func(files [][][]byte) { files[last] = nil })
	x.check("first file removed, as rotation does", "", &x.head, func(files [][][]byte) { files[0] = nil })
	x.check("everything removed", "that of the given head, are missing", &x.head, func(files [][][]byte) {
		for f := range files {
			files[f] = [][]byte{}
		}
	})
}

// TestForeignLines puts lines of other chains into an audit: of another key, of another
// server with the same key, and of an older copy of the same audit.
func TestForeignLines(t *testing.T) {
	x := newTampered(t)
	line := func(key Key, head Head) []byte {
		text, _ := newChain(key).appendLine(nil, head, (&Entry{Operation: "matchFaces"}).appendContent(nil, outcome{}))
		return text
	}
	before, err := parseLine(bytes.TrimSuffix(x.files[1][0], []byte("\n")))
	if err != nil {
		t.Fatal(err)
	}
	other := Key{bytes.Repeat([]byte("o"), 32)}
	put := func(text []byte) func([][][]byte) { return func(files [][][]byte) { files[1][1] = text } }
	x.check("another key", "changed", &x.head, put(line(other, before.head)))
	x.check("another key and place", "foreign", &x.head, put(line(other, Head{Seq: 3})))
	x.check("another server", "foreign", &x.head, put(line(x.key, Head{Seq: before.head.Seq})))
	x.check("a fork", "foreign", &x.head, put(line(x.key, before.head))) // found at the line after it
	x.check("a forged recovery", "not a line", &x.head, func(files [][][]byte) { files[1][1] = []byte(`{"operation":"audit.recovered"}` + "\n") })
	replaced := before.head
	replaced.Hash[0] ^= 1
	x.check("another head", "was replaced", &replaced, func([][][]byte) {})
	x.check("an old head", "", &Head{Seq: 1}, func(files [][][]byte) { files[0] = nil })
	first, _ := parseLine(bytes.TrimSuffix(x.files[1][0], []byte("\n")))
	x.check("the head before the first line", "", &Head{first.head.Seq - 1, first.prev}, func(files [][][]byte) { files[0] = nil })
	x.check("another head before the first line", "foreign", &Head{first.head.Seq - 1, replaced.Hash}, func(files [][][]byte) { files[0] = nil })
	x.check("another first line", "foreign", nil, func(files [][][]byte) { files[0][0] = line(x.key, Head{Hash: [32]byte{1}}) })
}

// TestClock checks that a clock that goes back is a warning.
func TestClock(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	b.match(1)
	*b.clock = b.clock.Add(-3600e9)
	b.match(2)
	b.match(3)
	if r := b.mustVerify(); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "line 2: the clock went back") {
		t.Error(r.Warnings)
	}
}

// TestParseHead checks the text form of heads.
func TestParseHead(t *testing.T) {
	h := Head{17, [32]byte{1, 2}}
	if got, err := ParseHead(h.String()); got != h || err != nil {
		t.Error(got, err)
	}
	for _, text := range []string{"", "1", "1:", ":00", "x:" + strings.Repeat("0", 64), "1:" + strings.Repeat("0", 63), "-1:" + strings.Repeat("0", 64)} {
		if _, err := ParseHead(text); err == nil {
			t.Error(text)
		}
	}
}
