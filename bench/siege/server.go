package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nearside/bench/process"
)

const (
	version = 9032 // descriptor version
	length  = 32   // bytes of a descriptor
	rows    = 5000 // faces of the server
)

const configuration = `
descriptors:
  versions:
    - {number: 9032, type: face, encoding: uint8, length: 32, scale: 128, similarity: {midpoint: 1.0, steepness: 1.0}}
`

// server is the server under attack.
type server struct {
	*process.Server
	dir    string       // folder of its files
	client *http.Client // of the import
}

// startServer starts a server with a temporary folder, over TLS with a new certificate.
func startServer(binary string, overTLS bool) (*server, error) {
	dir, err := os.MkdirTemp("", "siege")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, client: &http.Client{Transport: &http.Transport{TLSClientConfig: anyCertificate}}}
	text := configuration
	if overTLS {
		section, err := writeCertificate(dir)
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		text += section
	}
	config := filepath.Join(dir, "nearside.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if s.Server, err = process.Start(context.Background(), binary, config, filepath.Join(dir, "data")); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// stop ends the server and removes its files.
func (s *server) stop() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

// importFaces imports random faces.
func (s *server) importFaces() error {
	random := rand.NewChaCha8([32]byte{1})
	var lines bytes.Buffer
	descriptor := make([]byte, length)
	for n := range rows {
		_, _ = random.Read(descriptor) // never fails
		text := "somebody"
		if n%5 == 0 {
			text = strings.Repeat("somebody", 500)
		}
		fmt.Fprintf(&lines, `{"user_data":%q,"descriptor":%s}`+"\n", text, inJSON(descriptor))
	}
	response, err := s.client.Post(s.URL+"/1/import", "application/x-ndjson", &lines)
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

// peakMemory waits until ctx ends and returns the peak of the server's resident memory.
func (s *server) peakMemory(ctx context.Context) (peak int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := s.ResidentBytes(); err == nil { // if the server has ended, the innocent client reports failures
			peak = max(peak, now)
		}
		select {
		case <-ctx.Done():
			return peak
		case <-tick.C:
		}
	}
}
