// Command demo shows the main function of nearside on real descriptors. It starts a server
// with a temporary data directory, imports faces and SIFT descriptors, and matches them
// over HTTP. It compares every result with its own computation and with the ground truth.
// Then it ends the server with kill -9, starts it again and repeats the matches. It exits
// with 0 only if every result is right.
//
// It must run in the root of the repository, after `make build`.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	binary := flag.String("bin", "bin/nearside", "path of the server's program")
	data := flag.String("data", "bench/data", "folder of the data sets")
	flag.Parse()
	if err := run(*binary, *data); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(binary, data string) error {
	dir, err := os.MkdirTemp("", "nearside-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder; an error has no consequence
	s := &service{binary: binary, config: filepath.Join(data, "nearside.yaml"), dir: dir}
	if err := s.start(); err != nil {
		return err
	}
	defer func() { s.Kill() }()
	faces, err := newFaces(s, data)
	if err != nil {
		return err
	}
	sift, err := newSift(s, data)
	if err != nil {
		return err
	}
	if err := faces.check(s, true); err != nil {
		return err
	}
	if err := sift.check(s, true); err != nil {
		return err
	}
	fmt.Printf("\nkill -9 and restart on the same data: ")
	s.Kill()
	if err := s.start(); err != nil {
		return err
	}
	if err := faces.check(s, false); err != nil {
		return err
	}
	if err := sift.check(s, false); err != nil {
		return err
	}
	fmt.Println("all faces and all answers are unchanged.")
	if err := s.Stop(); err != nil {
		return err
	}
	fmt.Print(nextSteps)
	return nil
}

const nextSteps = `
All results are right. Next steps:
  make run                                  a server on http://127.0.0.1:5110 (data in ./data)
  bin/nearside import bench/data/faces.ndjson --list new
  bin/nearside match 5dc73618-3df8-563e-bc95-4cff773c93ec --limit 4      the faces most similar to this one
  bin/nearside import bench/data/faces.fvecs --version 2001 --list new   import your own vectors the same way
  bin/nearside match bench/data/faces.fvecs --version 2001 --limit 3
  http://127.0.0.1:5110/docs                the API; README.md shows the first requests
`
