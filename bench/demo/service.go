package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// service is the server under show, as a process of its own.
type service struct {
	binary, config, dir string
	process             *exec.Cmd
	url                 string
}

var listening = regexp.MustCompile(`listening on (http://[0-9.:]+)`)

// start starts the server on a free port and waits until it can answer.
func (s *service) start() error {
	s.process = exec.Command(s.binary, "serve", "--config", s.config, "--listen", "127.0.0.1:0", "--data-dir", s.dir)
	log, err := s.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("%s: %w (make build)", s.binary, err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(log, &said))
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
			go io.Copy(io.Discard, log) //nolint:errcheck // ends with the process
			return nil
		}
	}
	return fmt.Errorf("the server did not start:\n%s", said.String())
}

// kill ends the server without a warning.
func (s *service) kill() {
	if s.process.ProcessState == nil {
		_ = s.process.Process.Kill() // it may have ended by itself
		_ = s.process.Wait()
	}
}

// stop lets the server end in order.
func (s *service) stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("the server did not stop in order: %w", err)
	}
	return nil
}

// importFile imports a file into a new list with the command line's import,
// and returns the list.
func (s *service) importFile(file string, rows int, more ...string) (list string, err error) {
	start := time.Now()
	c := exec.Command(s.binary, append([]string{"import", file, "--url", s.url, "--list", "new"}, more...)...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("import %s: %w", file, err)
	}
	var r struct {
		Accepted, Rejected int
		ListID             string `json:"list_id"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return "", fmt.Errorf("import %s: %w", file, err)
	}
	if r.Accepted != rows || r.Rejected != 0 {
		return "", fmt.Errorf("import %s: %d accepted and %d rejected of %d", file, r.Accepted, r.Rejected, rows)
	}
	fmt.Printf("imported %5d rows of %s, durable, in %v\n", rows, file, time.Since(start).Round(time.Millisecond))
	return r.ListID, nil
}

// answer is the part of a match answer that the demo reads.
type answer []struct {
	Matches []struct {
		Result []struct {
			Face struct {
				ID       string `json:"face_id"`
				External string `json:"external_id"`
			}
			Similarity, Distance float64
		}
		Plan struct {
			Kernel  string
			Scanned int `json:"rows_scanned"`
		}
	}
}

// match sends a match request.
func (s *service) match(references any, list string, limit int) (answer, error) {
	body, err := json.Marshal(map[string]any{
		"references": references,
		"candidates": []any{map[string]any{
			"filters": map[string]any{"origin": "faces", "list_id": list}, "limit": limit,
			"targets": []string{"face_id", "external_id", "similarity", "distance"},
		}},
	})
	if err != nil {
		return nil, err
	}
	return s.post(body)
}

func (s *service) post(body []byte) (answer, error) {
	r, err := http.Post(s.url+"/1/matcher/faces?explain=1", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close() //nolint:errcheck // it was read to its end
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("match: %s: %s", r.Status, text)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, err
	}
	for _, item := range a {
		if len(item.Matches) != 1 {
			return nil, errors.New("match: an item has not one answer per candidate set")
		}
	}
	return a, nil
}
