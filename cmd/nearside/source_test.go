package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nearside/internal/config"
	"nearside/matcher"
)

// TestLongLines: lines that are too long are skipped, and do not end the import.
func TestLongLines(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		s := &textSource{in: bufio.NewReaderSize(strings.NewReader(text), 4096)}
		var got []string
		for {
			line, err := s.appendLine([]byte("kept "))
			switch {
			case errors.Is(err, io.EOF):
				if strings.Join(got, "|") != strings.Join(want, "|") || s.offset() != int64(len(text)) {
					t.Errorf("%.200q at %d, want %.200q", got, s.offset(), want)
				}
				return
			case errors.Is(err, errLongLine):
				got = append(got, "long")
			case err != nil:
				t.Fatal(err)
			case !bytes.HasPrefix(line, []byte("kept ")) || !bytes.HasSuffix(line, []byte("\n")):
				t.Fatalf("%.100q", line)
			default:
				got = append(got, fmt.Sprintf("%d bytes", len(line)-len("kept ")))
			}
		}
	}
	defer func(old int) { lineBytesMax = old }(lineBytesMax)
	lineBytesMax = 16 << 20
	longest := strings.Repeat("x", lineBytesMax-1)
	check("\uFEFFa\n\uFEFFb", "2 bytes", "5 bytes") // a byte order mark is skipped only at the start
	check("\uFEFF")
	check("")
	check("\n\na\nb", "1 bytes", "1 bytes", "2 bytes", "2 bytes")
	check(strings.Repeat("y", 5000)+"\na", "5001 bytes", "2 bytes") // longer than the reader's buffer
	check(longest+"\na", fmt.Sprint(lineBytesMax, " bytes"), "2 bytes")
	check(longest+"xx\na\n", "long", "2 bytes")
	check("a\n"+longest+longest, "2 bytes", "long")
}

// TestCutLine: Ctrl-C also ends the program that writes into a pipe, so an incomplete
// last line is not sent. The last line of a file is always sent.
func TestCutLine(t *testing.T) {
	check := func(live, interrupted bool, text string, want ...string) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		if interrupted {
			cancel(interruption{syscall.SIGINT})
		}
		j := job{path: "-", bytes: 7} // a known size, as of a file
		if live {
			j.bytes = -1
		}
		s, err := j.openSource(ctx, nil, matcher.Faces, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for err == nil {
			var line []byte
			if line, err = s.appendLine(nil); err == nil {
				got = append(got, string(line))
			} else if len(line) > 0 {
				t.Errorf("%q was returned together with %v", line, err)
			}
		}
		_, cut := errors.AsType[interruption](err)
		if strings.Join(got, "") != strings.Join(want, "") || cut != (len(want) < strings.Count(text, "\n")+1) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	check(true, true, "a\nb", "a\n")
	check(true, false, "a\nb", "a\n", "b\n")
	check(false, true, "a\nb", "a\n", "b\n")
}

// TestManyRequests: a large import is sent in several requests. Messages have the line
// numbers of the file, not of the request.
func TestManyRequests(t *testing.T) {
	defer func(old int) { lineBytesMax = old }(lineBytesMax)
	lineBytesMax = 16 << 20
	f := &fakeServer{dir: t.TempDir()}
	server := newHTTPServer(t, f)
	var file strings.Builder
	bad := 0
	const lines = 4000
	for i := range lines {
		word := "good"
		if i%10 == 9 {
			word = "bad"
			bad++
		}
		fmt.Fprintf(&file, `{"%s": %q}`+"\n", word, strings.Repeat("z", 5000))
	}
	fmt.Fprintf(&file, "%s\n{}\n{\"bad\": 1}", strings.Repeat("w", lineBytesMax+1))
	path := filepath.Join(t.TempDir(), "a.ndjson")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	defer func(old int64) { requestBytes = old }(requestBytes)
	requestBytes = 8 << 20
	if code := runCommand([]string{"import", "--url", server, path}, nil, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	want := fmt.Sprintf(`{"accepted":%d,"rejected":%d,"list_id":null}`+"\n", lines-bad+1, bad+2)
	if stdout.String() != want {
		t.Errorf("%swant %s", &stdout, want)
	}
	if f.requests < 3 || f.requests > 6 { // 20 MB in requests of about 8 MiB
		t.Errorf("%d requests", f.requests)
	}
	shown := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(shown) != shownMax+1 {
		t.Fatalf("%d lines were printed, want %d", len(shown), shownMax+1)
	}
	for i, line := range shown[:shownMax] {
		if want := fmt.Sprintf("nearside: %s: line %d: descriptor: is bad", path, 10*i+10); line != want {
			t.Errorf("%s, want %s", line, want)
		}
	}
	if want := fmt.Sprintf("nearside: %d more lines were rejected", bad+2-shownMax); shown[shownMax] != want {
		t.Errorf("%s, want %s", shown[shownMax], want)
	}
}

// TestRealVectors reads a real vector file: every row becomes a line.
func TestRealVectors(t *testing.T) {
	j := job{path: "../../bench/data/sift-base.bvecs", inputFormat: inputFormat{vectors: true}}
	v := &matcher.Version{Number: 1128, Length: 128, Scale: 128}
	if err := j.checkFile(v, matcher.Faces); err != nil {
		t.Fatal(err)
	}
	lines, err := j.openSource(context.Background(), v, matcher.Faces, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.close()
	rows := 0
	var line []byte
	for ; err == nil; rows++ {
		line, err = lines.appendLine(line[:0])
	}
	if !errors.Is(err, io.EOF) || rows-1 != 4900 || lines.offset() != j.bytes {
		t.Error(err, rows, lines.offset(), j.bytes)
	}
}

func TestMemoryLimit(t *testing.T) {
	check := func(want string, files map[string]string) {
		t.Helper()
		root := t.TempDir()
		for name, text := range files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if c := memoryLimit(root); c.Value != want {
			t.Errorf("%q, want %q", c.Value, want)
		}
	}
	const total = "MemFree: 1 kB\nMemTotal:       8388608 kB\n"
	check("unknown", nil)
	check("8.0 GiB, no limit by control group", map[string]string{"proc/meminfo": total})
	check("8.0 GiB, no limit by control group", map[string]string{
		"proc/meminfo": total, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
	})
	check("1.0 GiB by control group, of 8.0 GiB", map[string]string{ // a parent group has a lower limit
		"proc/meminfo": total, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n", "sys/fs/cgroup/a/memory.max": "1073741824\n",
	})
	check("512.0 MiB by control group, of 8.0 GiB", map[string]string{ // version 1
		"proc/meminfo": total, "proc/self/cgroup": "5:cpu:/x\n4:memory:/c\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": "536870912\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
	})
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log, level := newLogger(&out, config.Log{Level: slog.LevelInfo, Format: "auto"}) // not a terminal: JSON
	log.Debug("hidden")
	level.Set(slog.LevelDebug)
	log.Debug("shown", "n", 1)
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, `"msg":"shown","n":1}`) {
		t.Error(got)
	}
	out.Reset()
	log, _ = newLogger(&out, config.Log{Level: slog.LevelWarn, Format: "text"})
	log.Info("hidden")
	log.Warn("listening on http://h:1", "a b", "c")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "WRN listening on http://h:1") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
}
