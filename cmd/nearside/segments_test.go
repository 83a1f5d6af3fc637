package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stoppedWithSegments returns the data directory of a stopped server with the content of
// writers, and its segments.
func stoppedWithSegments(t *testing.T, config string) (dir string, writers []*writer, segments []string) {
	t.Helper()
	dir, writers = t.TempDir(), newWriters(3)
	p := serve(t, config, dir)
	writeUntil(t, p, writers, 150, func() error { return p.command.Process.Signal(syscall.SIGTERM) })
	if code := p.wait(); code != 0 {
		t.Fatalf("the server ended with code %d:\n%s", code, p.log())
	}
	segments, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	return dir, writers, segments
}

// flipBit changes a bit in the middle of a file.
func flipBit(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func doctor(t *testing.T, dir string) string {
	t.Helper()
	var out bytes.Buffer
	c := exec.Command("nearside", "doctor", "--data-dir", dir)
	c.Stdout = &out
	if err := c.Run(); err != nil {
		t.Fatal(err, out.String())
	}
	return out.String()
}

// TestDamagedSegment: the log names a damaged and a missing segment. The server reads
// everything from the database, and the start after that uses new segments.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, serveConfig)
	dir, writers, segments := stoppedWithSegments(t, config)
	for _, damage := range []func(){
		func() { flipBit(t, segments[0]) },
		func() {
			if err := os.Remove(segments[0]); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if out := doctor(t, dir); !strings.Contains(out, "ok    segments            1 files") {
			t.Error(out)
		}
		damage()
		for _, warned := range []bool{true, false} {
			p := serve(t, config, dir)
			if strings.Contains(p.log(), segments[0]) != warned || strings.Contains(p.log(), "could not be used") != warned {
				t.Errorf("warned: %v, want %v:\n%s", !warned, warned, p.log())
			}
			checkContent(t, p, writers)
			if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			p.wait()
		}
		segments, _ = filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	}
	if err := os.Remove(segments[0]); err != nil {
		t.Fatal(err)
	}
	if out := doctor(t, dir); !strings.Contains(out, "warn  segments") || !strings.Contains(out, "no data is lost") {
		t.Error(out)
	}
}

// TestDamagedDatabase: a damaged table is found even if the segments are intact.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, serveConfig)
	dir, _, _ := stoppedWithSegments(t, config)
	tables, err := filepath.Glob(filepath.Join(dir, "pebble", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	flipBit(t, tables[0])
	before := readFiles(t, dir)
	p := start(t, config, dir)
	if p.url != "" || p.wait() == 0 || !strings.Contains(p.log(), "is damaged") || !strings.Contains(p.log(), "nothing was changed") {
		t.Errorf("the server listens on %q:\n%s", p.url, p.log())
	}
	if !maps.Equal(readFiles(t, dir), before) {
		t.Error("the directory was changed")
	}
}
