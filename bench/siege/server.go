package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	version = 9032 // of descriptors, with length bytes
	length  = 32
	rows    = 5000
)

const configuration = `
descriptors:
  versions:
    - {number: 9032, type: face, encoding: uint8, length: 32, scale: 128, similarity: {midpoint: 1.0, steepness: 1.0}}
`

// server is a nearside in a process of its own, with its files in a folder of
// its own.
type server struct {
	process *exec.Cmd
	dir     string
	address string
}

var listening = regexp.MustCompile(`listening on http://([0-9.:]+)`)

// start starts a server on a free port and waits until it can answer.
func start(binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "siege")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	config := filepath.Join(dir, "nearside.yaml")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		return nil, err
	}
	s.process = exec.Command(binary, "serve", "--config", config, "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"))
	log, err := s.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w (make build)", binary, err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(log, &said))
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			s.address = m[1]
			go io.Copy(io.Discard, log) //nolint:errcheck // ends with the process
			return s, nil
		}
	}
	return nil, fmt.Errorf("the server did not start:\n%s", said.String())
}

// stop ends the server and removes its files.
func (s *server) stop() error {
	if err := s.process.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = s.process.Wait() // it was killed
	return os.RemoveAll(s.dir)
}

// fill imports faces.
func (s *server) fill() error {
	random := rand.NewChaCha8([32]byte{1})
	var lines bytes.Buffer
	descriptor := make([]byte, length)
	for range rows {
		_, _ = random.Read(descriptor) // does not fail
		fmt.Fprintf(&lines, `{"user_data":"somebody","descriptor":%s}`+"\n", inJSON(descriptor))
	}
	response, err := http.Post("http://"+s.address+"/1/import", "application/x-ndjson", &lines)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("import: %s", response.Status)
	}
	return nil
}

func inJSON(descriptor []byte) string {
	return fmt.Sprintf(`{"version":%d,"data":%q}`, version, base64.StdEncoding.EncodeToString(descriptor))
}

// watch returns the most resident memory that the server has until ctx ends.
func (s *server) watch(ctx context.Context) (most int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		most = max(most, s.resident())
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// resident is the resident memory of the server in bytes.
func (s *server) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.process.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel wrote it
	return pages * int64(os.Getpagesize())
}
