package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// importLine returns face i of version 1001, without an id.
func importLine(i int) string {
	data := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%016d", i)))
	return fmt.Sprintf(`{"external_id": "%d", "user_data": "%0500d", "descriptor": {"version": 1001, "data": "%s"}}`+"\n", i, i, data)
}

// faceCount returns the number of faces of a server.
func (p *process) faceCount(t *testing.T) int {
	t.Helper()
	var answer struct{ Count int }
	p.mustCall(t, "GET", "/1/faces?page_size=1", nil, &answer)
	return answer.Count
}

// interruptImport imports lines from a pipe. It sends the signal when some lines are
// stored and the pipe is still open.
func interruptImport(t *testing.T, server *process, s syscall.Signal, args ...string) (code int, answer summary, list *string, stderr string) {
	t.Helper()
	command := exec.Command("nearside", append([]string{"import", "--url", server.url, "-"}, args...)...)
	var stdout, messages bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &messages
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	before := server.faceCount(t)
	for i := range 6000 { // 3.9 MB, less than the server stores at once, so it stores them after a second
		if _, err := io.WriteString(input, importLine(i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		if server.faceCount(t) == before {
			return errors.New("nothing is stored")
		}
		return nil
	})
	if err := command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // callers check the exit code
	_ = input.Close()
	var shown struct {
		summary
		List *string `json:"list_id"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &shown); err != nil {
		t.Fatalf("%v: %s%s", err, &stdout, &messages)
	}
	return command.ProcessState.ExitCode(), shown.summary, shown.List, messages.String()
}

// TestImportInterrupted: an interrupted import reports exactly what was stored, and can
// be repeated.
func TestImportInterrupted(t *testing.T) {
	server := serve(t, writeConfig(t, serveConfig), t.TempDir())

	code, answer, list, stderr := interruptImport(t, server, syscall.SIGINT, "--ids", "content", "--list", "new")
	stored := server.faceCount(t)
	if code != 130 || answer.Accepted == 0 || answer.Accepted != int64(stored) || answer.Rejected != 0 || list == nil {
		t.Fatalf("code %d, %+v in %v, but %d are stored\n%s", code, answer, list, stored, stderr)
	}
	if want := fmt.Sprintf("interrupted after line %d of -", stored); !strings.Contains(stderr, want) || !strings.Contains(stderr, "--list "+*list) {
		t.Errorf("%s, want %s", stderr, want)
	}

	// Importing the whole input again creates no duplicates.
	file := filepath.Join(t.TempDir(), "all.ndjson")
	var all strings.Builder
	for i := range 6000 {
		all.WriteString(importLine(i))
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("nearside", "import", "--url", server.url, "--ids", "content", "--list", *list, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var newList struct {
		FaceCount int `json:"face_count"`
	}
	server.mustCall(t, "GET", "/1/lists/"+*list, nil, &newList)
	if n := server.faceCount(t); n != 6000 || newList.FaceCount != 6000 {
		t.Errorf("%d faces, %d in the list, want 6000", n, newList.FaceCount)
	}

	code, answer, _, stderr = interruptImport(t, server, syscall.SIGTERM)
	if n := server.faceCount(t); code != 143 || answer.Accepted != int64(n-6000) {
		t.Errorf("code %d, %+v, but %d are stored\n%s", code, answer, n-6000, stderr)
	}
}

// TestWithGrace: the context ends when the grace period after the interruption is over, and
// its cause names the interruption. stop ends it earlier.
func TestWithGrace(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	late, stop := withGrace(ctx, time.Nanosecond)
	defer stop()
	if late.Err() != nil {
		t.Fatal(late.Err())
	}
	cancel(interruption{syscall.SIGTERM})
	<-late.Done()
	if err := context.Cause(late); err.Error() != "interrupted, and no answer came within 1ns" {
		t.Error(err)
	}
	if by, ok := interruptedBy(late); !ok || by.exitCode() != 143 {
		t.Error(by, ok)
	}

	late, stop = withGrace(context.Background(), time.Hour)
	stop()
	<-late.Done()
	if err := context.Cause(late); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
