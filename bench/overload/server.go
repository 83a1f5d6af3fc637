package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"

	"nearside/bench/process"
)

// server is a server under load.
type server struct {
	*process.Server
	name string // name of its program
	dir  string // folder of its files
}

// startServer starts a server on a free port and imports faces.
func (s *settings) startServer(binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "overload")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nearside.yaml")
	text := fmt.Sprintf(`
limits: {request_timeout: %v, connections_per_address: 100000}
descriptors:
  versions:
    - {number: %d, type: face, encoding: uint8, length: %d, scale: 128, similarity: {midpoint: 12.6, steepness: 1.0}}
`, s.deadline, version, s.length)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	target := &server{name: filepath.Base(binary), dir: dir}
	if target.Server, err = process.Start(context.Background(), binary, config, filepath.Join(dir, "data")); err == nil {
		err = target.importFaces(s.rows, s.length)
	}
	if err != nil {
		target.stop()
		return nil, err
	}
	return target, nil
}

// stop ends the server and removes its files.
func (s *server) stop() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// importFaces imports random faces.
func (s *server) importFaces(rows, length int) error {
	random := rand.NewChaCha8([32]byte{2})
	for rows > 0 {
		var lines bytes.Buffer
		n := min(rows, 20_000)
		for range n {
			fmt.Fprintf(&lines, `{"descriptor":%s}`+"\n", descriptor(random, length))
		}
		rows -= n
		response, err := http.Post(s.URL+"/1/import", "application/x-ndjson", &lines)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("import: %s: %s, %w", response.Status, text, err)
		}
	}
	return nil
}
