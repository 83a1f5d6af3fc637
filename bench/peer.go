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

// peerProgram is the process of another program that searches a dataset. It is idle
// between searches. bench/peers/README.md describes its protocol.
type peerProgram struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
	names   []string
}

// peerHello is a line that a program prints at its start: one per peer, then one with
// Ready.
type peerHello struct {
	Peer    string `json:"peer"`
	Version string `json:"version"`
	Ready   bool   `json:"ready"`
}

// peerAnswer is the answer to one search.
type peerAnswer struct {
	Seconds float64 `json:"seconds"`
	Rows    []int   `json:"rows"` // rows nearest to the first query; empty if the peer computes no top 10
}

// startPeer starts a program. It returns nil if the program was not built.
func (s *suite) startPeer(program string, d *dataset) (*peerProgram, error) {
	path := filepath.Join(s.peers, program)
	if _, err := os.Stat(path); err != nil {
		s.peerNotes = append(s.peerNotes, program+": absent: "+path+" was not built (bench/peers/build.sh)")
		return nil, nil
	}
	p := &peerProgram{process: exec.CommandContext(s.ctx, path, d.rowsPath, d.queriesPath, d.version.Encoding.String(),
		strconv.Itoa(d.version.Length), strconv.Itoa(d.n), strconv.Itoa(queriesMax))}
	// Idle threads must not spin, because that would disturb the other participants.
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
		s.peerNotes = append(s.peerNotes, hello.Peer+" "+hello.Version)
	}
	return nil, errors.Join(fmt.Errorf("%s: the program ended before it was ready", program), p.close())
}

// close closes the program's input and waits until it ends.
func (p *peerProgram) close() error {
	return errors.Join(p.stdin.Close(), p.process.Wait())
}

// search makes a peer search once.
func (p *peerProgram) search(peer, queries, threads int) (*peerAnswer, error) {
	if _, err := fmt.Fprintf(p.stdin, "%d %d %d\n", peer, queries, threads); err != nil {
		return nil, fmt.Errorf("%s: %w", p.names[peer], err)
	}
	if !p.answers.Scan() {
		return nil, fmt.Errorf("%s: no answer: %w", p.names[peer], errors.Join(p.answers.Err(), io.ErrUnexpectedEOF))
	}
	var a peerAnswer
	if err := json.Unmarshal(p.answers.Bytes(), &a); err != nil || a.Seconds <= 0 {
		return nil, errors.Join(fmt.Errorf("%s: invalid answer %q", p.names[peer], p.answers.Text()), err)
	}
	return &a, nil
}

// timedRun returns a run of a peer.
func (p *peerProgram) timedRun(peer, queries, threads int) stat.Run {
	return func() (float64, error) {
		a, err := p.search(peer, queries, threads)
		if err != nil {
			return 0, err
		}
		return a.Seconds, nil
	}
}

// recall returns the fraction of the oracle's nearest rows that a peer finds for the
// first query, or -1 if the peer returns no rows.
func (p *peerProgram) recall(d *dataset, peer int) (float64, error) {
	a, err := p.search(peer, 1, 1)
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
		// Compare distances, because peers may return other rows of equal distance.
		if row >= 0 && row < d.n && distances[row] <= want[len(want)-1].distance {
			found++
		}
	}
	return float64(found) / float64(len(want)), nil
}
