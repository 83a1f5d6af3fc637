package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a server in its own process. It runs the binary of this test, which
// testscript has put into PATH as nearside.
type process struct {
	command *exec.Cmd
	url     string
	client  *http.Client
	key     string // of requests; empty: none is sent

	mu        sync.Mutex
	output    bytes.Buffer
	listening chan string // receives the URL when the start has ended
	ended     chan struct{}
}

// serveConfig is a configuration with version 1001 of 16 bytes.
const serveConfig = `descriptors:
  versions:
    - {number: 1001, type: face, encoding: uint8, length: 16, scale: 1, similarity: {midpoint: 1000, steepness: 0.01}}
`

// writeConfig writes a configuration file and returns its name.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "nearside.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// start starts a server that may fail to start.
func start(t *testing.T, config, dataDir string) *process {
	t.Helper()
	command := exec.Command("nearside", "serve", "--config", config, "--listen", "127.0.0.1:0", "--data-dir", dataDir)
	command.Dir = t.TempDir() // without a nearside.yaml
	return launch(t, command)
}

// launch starts a server with the given command, and waits until it serves or has ended.
func launch(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	p := spawn(t, command)
	p.url = <-p.listening // empty if the server ended
	return p
}

// spawn starts a server with the given command.
func spawn(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	p := &process{
		command:   command,
		client:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute},
		listening: make(chan string, 1),
		ended:     make(chan struct{}),
	}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer close(p.listening)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.output, lines.Text())
			p.mu.Unlock()
			if _, url, ok := strings.Cut(lines.Text(), "listening on "); ok {
				p.listening <- strings.Trim(url, `"}`)
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it may have ended already
		p.wait()
		if strings.Contains(p.log(), "DATA RACE") {
			t.Error(p.log())
		}
	})
	return p
}

// serve starts a server, which must succeed.
func serve(t *testing.T, config, dataDir string) *process {
	t.Helper()
	p := start(t, config, dataDir)
	if p.url == "" {
		t.Fatalf("the server ended with code %d:\n%s", p.wait(), p.log())
	}
	return p
}

// wait waits for the end of the process and returns its exit code; -1: a signal ended it.
func (p *process) wait() int {
	<-p.ended // before Wait, which closes the pipe
	_ = p.command.Wait()
	p.client.CloseIdleConnections()
	return p.command.ProcessState.ExitCode()
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// call sends a request and returns its status and answer. After an error, it is unknown
// whether the request was done.
func (p *process) call(method, path string, body any) (int, []byte, error) {
	var content io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		content, contentType = strings.NewReader(b), "application/x-ndjson"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, p.url+path, content)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", contentType)
	if p.key != "" {
		request.Header.Set("X-Api-Key", p.key)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// mustCall sends a request that must succeed, and reads the answer.
func (p *process) mustCall(t *testing.T, method, path string, body, answer any) {
	t.Helper()
	status, text, err := p.call(method, path, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: %d %s %v\n%s", method, path, status, text, err, p.log())
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

// reload writes the configuration and sends SIGHUP. It waits until the log has another line
// with message.
func (p *process) reload(t *testing.T, name, text, message string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n := strings.Count(p.log(), message)
	p.signal(t, syscall.SIGHUP)
	eventually(t, func() error {
		if strings.Count(p.log(), message) == n {
			return fmt.Errorf("the log does not have %q:\n%s", message, p.log())
		}
		return nil
	})
}
