package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"nearside/bench/stat"
)

// peerProgram is another program that searches a dataset, as a process that
// waits for its turn; bench/peers/README.md says how it is spoken to.
type peerProgram struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
	names   []string
}

// peerHello is what a program says before it is ready, a line per peer.
type peerHello struct {
	Peer    string `json:"peer"`
	Version string `json:"version"`
	Ready   bool   `json:"ready"`
}

// peerAnswer is one search.
type peerAnswer struct {
	Seconds float64 `json:"seconds"`
	Rows    []int   `json:"rows"` // nearest to the first query; none: it has no top-10
}

// startPeer starts a program, or returns nil when it was not built.
func (s *suite) startPeer(program string, d *dataset) (*peerProgram, error) {
	path := filepath.Join(s.peers, program)
	if _, err := os.Stat(path); err != nil {
		s.found = append(s.found, program+": absent: "+path+" was not built (bench/peers/build.sh)")
		return nil, nil
	}
	p := &peerProgram{process: exec.CommandContext(s.ctx, path, d.rowsPath, d.queriesPath, d.version.Encoding.String(),
		strconv.Itoa(d.version.Length), strconv.Itoa(d.n), strconv.Itoa(queriesMax))}
	// Threads that spin for their next work would disturb whose turn it is.
	p.process.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive", "OPENBLAS_THREAD_TIMEOUT=4")
	p.process.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewScanner(stdout)
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	for p.answers.Scan() {
		var hello peerHello
		if err := json.Unmarshal(p.answers.Bytes(), &hello); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %q: %w", program, p.answers.Text(), err), p.close())
		}
		if hello.Ready {
			return p, nil
		}
		p.names = append(p.names, hello.Peer)
		s.found = append(s.found, hello.Peer+" "+hello.Version)
	}
	return nil, errors.Join(fmt.Errorf("%s: it ended before it was ready", program), p.close())
}

// close lets the program end.
func (p *peerProgram) close() error {
	return errors.Join(p.stdin.Close(), p.process.Wait())
}

// ask has a peer search once.
func (p *peerProgram) ask(peer, queries, threads int) (*peerAnswer, error) {
	if _, err := fmt.Fprintf(p.stdin, "%d %d %d\n", peer, queries, threads); err != nil {
		return nil, fmt.Errorf("%s: %w", p.names[peer], err)
	}
	if !p.answers.Scan() {
		return nil, fmt.Errorf("%s: no answer: %w", p.names[peer], errors.Join(p.answers.Err(), io.ErrUnexpectedEOF))
	}
	var a peerAnswer
	if err := json.Unmarshal(p.answers.Bytes(), &a); err != nil || a.Seconds <= 0 {
		return nil, errors.Join(fmt.Errorf("%s: %q is no answer", p.names[peer], p.answers.Text()), err)
	}
	return &a, nil
}

// run returns a run of a peer.
func (p *peerProgram) run(peer, queries, threads int) stat.Run {
	return func() (float64, error) {
		a, err := p.ask(peer, queries, threads)
		if err != nil {
			return 0, err
		}
		return a.Seconds, nil
	}
}

// recall returns how many of the oracle's nearest rows a peer finds for the
// first query; -1 when it gives no rows.
func (p *peerProgram) recall(d *dataset, peer int) (float64, error) {
	a, err := p.ask(peer, 1, 1)
	if err != nil || len(a.Rows) == 0 {
		return -1, err
	}
	want, err := d.nearest(0, everything, depth)
	if err != nil {
		return 0, err
	}
	distances, err := d.distancesOf(0)
	if err != nil {
		return 0, err
	}
	found := 0
	for _, row := range a.Rows {
		// By distance: peers order equal ones as they like.
		if row >= 0 && row < d.n && distances[row] <= want[len(want)-1].distance {
			found++
		}
	}
	return float64(found) / float64(len(want)), nil
}
