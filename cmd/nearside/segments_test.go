package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
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

// TestDamageFoundLater: a start from segments does not read the objects in the tables. The
// damage of one is found after the start. The server then refuses writes, is not ready any
// more, and still answers with the object from its memory. The next start refuses writes,
// too. When the table is restored, the server finds no damage and accepts writes.
func TestDamageFoundLater(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	p := serve(t, config, dir)
	var lines strings.Builder
	face := func(n int) string { return fmt.Sprintf("/1/faces/00000000-0000-4000-8000-%012d", n) }
	for n := range 4000 {
		fmt.Fprintf(&lines, "{\"face_id\": %q, \"user_data\": \"%060d\", \"descriptor\": {\"version\": 1001, \"data\": \"AAECAwQFBgcICQoLDA0ODw==\"}}\n", path.Base(face(n)), n)
	}
	if status, answer, err := p.call(http.MethodPost, "/1/import", lines.String()); err != nil || !strings.Contains(string(answer), `"accepted":4000`) {
		t.Fatalf("the import: %d %s %v", status, answer, err)
	}
	stop := func(p *process) int {
		if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		return p.wait()
	}
	if code := stop(p); code != 0 {
		t.Fatalf("the server ended with code %d:\n%s", code, p.log())
	}
	text := fmt.Appendf(nil, "%060d", 2000)
	undamaged := map[string]string{}
	for name, content := range readFiles(t, filepath.Join(dir, "pebble")) {
		if at := strings.Index(content, string(text)); at >= 0 && strings.HasSuffix(name, ".sst") {
			b := []byte(content)
			b[at+50] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			undamaged[name] = content
		}
	}
	if len(undamaged) == 0 {
		t.Fatal("no table has the object")
	}
	awaitReady := func(want int) {
		t.Helper()
		for status := 0; status != want; {
			var err error
			if status, _, err = p.call(http.MethodGet, "/readyz", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(want string) {
		t.Helper()
		line := strings.SplitAfter(lines.String(), "\n")[0]
		if status, answer, err := p.call(http.MethodPost, "/1/import", line); !strings.Contains(string(answer), want) || err != nil {
			t.Errorf("a write: %d %s %v", status, answer, err)
		}
	}
	p = serve(t, config, dir)
	awaitReady(http.StatusServiceUnavailable)
	write("12050")
	var found struct {
		UserData string `json:"user_data"`
	}
	if p.mustCall(t, http.MethodGet, face(2000), nil, &found); found.UserData != string(text) {
		t.Errorf("the damaged object has user_data %q, want %q", found.UserData, text)
	}
	if code := stop(p); code == 0 || !strings.Contains(p.log(), "is damaged") {
		t.Errorf("the server ended with code %d, and its log must name the damage:\n%s", code, p.log())
	}

	p = serve(t, config, dir)
	if status, answer, err := p.call(http.MethodGet, "/readyz", nil); status != http.StatusServiceUnavailable || !strings.Contains(string(answer), "is damaged") || err != nil {
		t.Errorf("GET /readyz after a restart: %d %s %v", status, answer, err)
	}
	write("is damaged")
	if !strings.Contains(p.log(), "nothing can be written: the data directory is damaged") || !strings.Contains(doctor(t, dir), "is damaged") {
		t.Errorf("the log and doctor must name the damage:\n%s%s", p.log(), doctor(t, dir))
	}
	stop(p)
	for name, content := range undamaged {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = serve(t, config, dir)
	awaitReady(http.StatusOK)
	write(`"accepted":1`)
	if code := stop(p); code != 0 || !strings.Contains(p.log(), "no damage any more") {
		t.Errorf("the server ended with code %d:\n%s", code, p.log())
	}
	if _, err := os.Stat(filepath.Join(dir, "DAMAGED")); err == nil {
		t.Error("the verification did not remove the marker")
	}
}

// TestDamagedDatabase: without segments, a server with a damaged table does not start.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, serveConfig)
	dir, _, segments := stoppedWithSegments(t, config)
	if err := os.RemoveAll(filepath.Dir(segments[0])); err != nil {
		t.Fatal(err)
	}
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
