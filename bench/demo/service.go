package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"nearside/bench/process"
)

// service is the server that the demo shows.
type service struct {
	*process.Server
	binary, config, dir string
}

// start starts the server.
func (s *service) start() (err error) {
	s.Server, err = process.Start(context.Background(), s.binary, s.config, s.dir)
	return err
}

// importFile imports a file into a new list with the command line and returns the list's
// ID. It fails unless all rows are accepted.
func (s *service) importFile(file string, rows int, more ...string) (list string, err error) {
	start := time.Now()
	c := exec.Command(s.binary, append([]string{"import", file, "--url", s.URL, "--list", "new"}, more...)...)
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
		return "", fmt.Errorf("import %s: %d rows must be accepted, got %d accepted and %d rejected", file, rows, r.Accepted, r.Rejected)
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
	r, err := http.Post(s.URL+"/1/matcher/faces?explain=1", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close() //nolint:errcheck // the body was read to its end
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
			return nil, errors.New("match: an item must have one answer per candidate set")
		}
	}
	return a, nil
}
