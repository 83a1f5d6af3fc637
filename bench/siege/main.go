// Command siege attacks a server with many hostile connections of one kind at a
// time. Beside each attack it measures the memory of the server and what an
// innocent client sees. It exits with 1 when an attack costs more than the bars.
//
//	go run ./bench/siege [-binary bin/nearside] [-connections 1000] [-only NAME,...]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// The bars: with an attack, the server may use that much memory in all, and 99
// of 100 requests of an innocent client may take that long at most.
const (
	memoryMax  = 300 << 20
	latencyMax = 100 * time.Millisecond
)

func main() {
	binary := flag.String("binary", "bin/nearside", "the server")
	connections := flag.Int("connections", 1000, "hostile connections at once")
	seconds := flag.Duration("for", 25*time.Second, "duration of each attack")
	only := flag.String("only", "", "names of the attacks, separated by commas; all without it")
	visited := flag.String("visit", "", "be the innocent client of the server at this address, and nothing else")
	flag.Parse()
	if *visited != "" {
		ctx, cancel := context.WithTimeout(context.Background(), *seconds)
		_ = json.NewEncoder(os.Stdout).Encode(visit(ctx, *visited)) // the process that reads it notices a missing line
		cancel()
		return
	}
	missed, err := run(*binary, *connections, *seconds, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Printf("%d attacks cost more than %d MB, or more than %v of an innocent client's p99\n", missed, memoryMax>>20, latencyMax)
		os.Exit(1)
	}
}

// run runs the attacks, each against a new server, and returns how many missed
// a bar.
func run(binary string, connections int, duration time.Duration, only string) (missed int, err error) {
	fmt.Printf("%-20s %8s %9s %8s %8s %8s %7s  %s\n", "attack", "memory", "requests", "failed", "p50 ms", "p99 ms", "max ms", "hostile connections")
	for _, a := range append([]attack{{name: "none"}}, attacks...) {
		if only != "" && !strings.Contains(","+only+",", ","+a.name+",") {
			continue
		}
		ok, err := besiege(binary, a, connections, duration)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", a.name, err)
		}
		if !ok {
			missed++
		}
	}
	return missed, nil
}

// besiege runs one attack and prints what it cost.
func besiege(binary string, a attack, connections int, duration time.Duration) (ok bool, err error) {
	s, err := start(binary)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.fill(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	hostile := &horde{address: s.address}
	attacked := make(chan struct{})
	go func() {
		defer close(attacked)
		if a.run != nil {
			hostile.attack(ctx, a, connections)
		}
	}()
	memory := make(chan int64)
	go func() { memory <- s.watch(ctx) }()
	seen, err := s.watched(duration)
	<-attacked
	most := <-memory
	if err != nil {
		return false, err
	}
	ok = most <= memoryMax && seen.at(0.99) <= latencyMax && seen.Failed == 0
	verdict := ""
	if !ok {
		verdict = "  MISS"
	}
	fmt.Printf("%-20s %5d MB %9d %8d %8.1f %8.1f %7.0f  %s%s\n", a.name, most>>20, len(seen.Took), seen.Failed,
		ms(seen.at(0.5)), ms(seen.at(0.99)), ms(seen.at(1)), hostile, verdict)
	return ok, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
