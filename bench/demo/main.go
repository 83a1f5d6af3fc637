// Command demo does the main job of nearside on real descriptors: it starts a
// server with a temporary data directory, imports faces and SIFT descriptors,
// matches them over HTTP, checks every figure against its own computation and
// the ground truth, ends the server with kill -9, starts it again and asks
// once more. It exits with 0 only when every figure is right.
//
// It runs in the root of the repository, after `make build`.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	binary := flag.String("bin", "bin/nearside", "the program to show")
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
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder; there is nothing to do about it
	s := &service{binary: binary, config: filepath.Join(data, "nearside.yaml"), dir: dir}
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
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
	fmt.Printf("\nkill -9, and start again on the same data: ")
	s.kill()
	if err := s.start(); err != nil {
		return err
	}
	if err := faces.check(s, false); err != nil {
		return err
	}
	if err := sift.check(s, false); err != nil {
		return err
	}
	fmt.Println("every face and every answer is there.")
	if err := s.stop(); err != nil {
		return err
	}
	fmt.Print(goOn)
	return nil
}

const goOn = `
All figures are right. To go on:
  make run                                  a server on http://127.0.0.1:5110 (data in ./data)
  bin/nearside import bench/data/faces.ndjson --list new
  bin/nearside match 5dc73618-3df8-563e-bc95-4cff773c93ec --limit 4      who looks like this face
  bin/nearside import bench/data/faces.fvecs --version 2001 --list new   your own vectors the same way
  bin/nearside match bench/data/faces.fvecs --version 2001 --limit 3
  http://127.0.0.1:5110/docs                the API; README.md has the first requests
`
