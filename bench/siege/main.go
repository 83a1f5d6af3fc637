// Command siege attacks a server with many hostile connections, one kind at a time.
// During each attack it measures the memory of the server and the latency that an
// innocent client sees. It exits with 1 if an attack exceeds a bar.
//
//	go run ./bench/siege [-tls] [-binary bin/nearside] [-connections 1000] [-only NAME,...]
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

// The bars: the largest memory of the server during an attack, and the largest p99 of the
// latency of an innocent client.
const (
	memoryMax  = 300 << 20
	latencyMax = 100 * time.Millisecond
)

func main() {
	binary := flag.String("binary", "bin/nearside", "path of the server's program")
	connections := flag.Int("connections", 1000, "number of concurrent hostile connections")
	seconds := flag.Duration("for", 25*time.Second, "duration of each attack")
	overTLS := flag.Bool("tls", false, "attack a server with a certificate; there are more attacks then")
	only := flag.String("only", "", "names of the attacks to run, separated by commas; all if empty")
	visited := flag.String("visit", "", "internal: run only the innocent client, for the server at this URL")
	flag.Parse()
	if *visited != "" {
		ctx, cancel := context.WithTimeout(context.Background(), *seconds)
		_ = json.NewEncoder(os.Stdout).Encode(visit(ctx, *visited)) // the reading process reports missing output
		cancel()
		return
	}
	missed, err := run(*binary, *overTLS, *connections, *seconds, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Printf("%d attacks exceed a bar: at most %d MB of memory, at most %v for p99, no failed requests\n", missed, memoryMax>>20, latencyMax)
		os.Exit(1)
	}
}

// run runs the attacks, each against a new server, and returns the number of attacks that
// exceeded a bar.
func run(binary string, overTLS bool, connections int, duration time.Duration, only string) (missed int, err error) {
	fmt.Printf("%-20s %8s %9s %8s %8s %8s %7s  %s\n", "attack", "memory", "requests", "failed", "p50 ms", "p99 ms", "max ms", "hostile connections")
	all := append([]attack{{name: "none"}}, attacks...)
	if overTLS {
		all = append(all, handshakeAttacks...)
	}
	for _, a := range all {
		if only != "" && !strings.Contains(","+only+",", ","+a.name+",") {
			continue
		}
		ok, err := besiege(binary, overTLS, a, connections, duration)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", a.name, err)
		}
		if !ok {
			missed++
		}
	}
	return missed, nil
}

// besiege runs one attack and prints its results. ok means that it met all bars.
func besiege(binary string, overTLS bool, a attack, connections int, duration time.Duration) (ok bool, err error) {
	s, err := startServer(binary, overTLS)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.importFaces(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	hostile := &horde{address: s.Address(), overTLS: overTLS}
	attacked := make(chan struct{})
	go func() {
		defer close(attacked)
		if a.run != nil {
			hostile.attack(ctx, a, connections)
		}
	}()
	memory := make(chan int64)
	go func() { memory <- s.peakMemory(ctx) }()
	seen, err := s.observe(duration)
	<-attacked
	peak := <-memory
	if err != nil {
		return false, err
	}
	ok = peak <= memoryMax && seen.quantile(0.99) <= latencyMax && seen.Failed == 0
	verdict := ""
	if !ok {
		verdict = "  MISS"
	}
	fmt.Printf("%-20s %5d MB %9d %8d %8.1f %8.1f %7.0f  %s%s\n", a.name, peak>>20, len(seen.Durations), seen.Failed,
		ms(seen.quantile(0.5)), ms(seen.quantile(0.99)), ms(seen.quantile(1)), hostile, verdict)
	return ok, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
