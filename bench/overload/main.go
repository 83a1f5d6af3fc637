// Command overload measures how many requests a server answers in time when clients send
// several times as many as it can answer. It first measures the capacity with clients
// that wait for their answers. Then it sends requests at multiples of the capacity,
// whether or not earlier requests were answered. Server and clients share the machine, so
// the requests are heavy: the cost of the clients is small in comparison.
//
//	go run ./bench/overload [-binary bin/nearside[,OTHER...]] [-rounds 3] [-rows 200000]
//
// Several binaries run alternately, so that changes of the machine's speed affect all of
// them. The command exits with 1 if a bar is missed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"nearside/bench/stat"
)

// The bars, for the median of the rounds.
const (
	barFactor  = 5                     // multiple of the capacity at which the bars apply
	goodputMin = 0.8                   // smallest rate of answers in time, as a fraction of the capacity
	refusalMax = 50 * time.Millisecond // largest median time of refusals
)

// settings are the values of the flags.
type settings struct {
	rows, references int
	length           int // bytes of a descriptor
	deadline         time.Duration
	step             time.Duration // duration of one measurement
	rounds, clients  int
	fresh            bool
	factors          []float64
}

func main() {
	var s settings
	binaries := flag.String("binary", "bin/nearside", "paths of the servers' programs, separated by commas")
	factors := flag.String("factors", "1,2,5", "multiples of the capacity")
	flag.IntVar(&s.rows, "rows", 200_000, "number of faces in a server")
	flag.IntVar(&s.references, "references", 30, "number of references in a request")
	flag.IntVar(&s.length, "length", 512, "bytes of a descriptor")
	flag.DurationVar(&s.deadline, "deadline", 2*time.Second, "limits.request_timeout")
	flag.DurationVar(&s.step, "for", 8*time.Second, "duration of one measurement")
	flag.IntVar(&s.rounds, "rounds", 3, "number of rounds")
	flag.IntVar(&s.clients, "clients", 16, "number of clients that measure the capacity")
	flag.BoolVar(&s.fresh, "fresh", false, "use a new connection for each request")
	sending := flag.String("send", "", "internal: read a plan from standard input and send it to this address") // used for the process of the clients
	flag.Parse()
	if *sending != "" {
		if err := sendPlan(*sending); err != nil {
			fmt.Fprintln(os.Stderr, "overload:", err)
			os.Exit(1)
		}
		return
	}
	for text := range strings.SplitSeq(*factors, ",") {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f <= 0 {
			fmt.Fprintf(os.Stderr, "overload: -factors: must be numbers above 0, got %q\n", text)
			os.Exit(2)
		}
		s.factors = append(s.factors, f)
	}
	missed, err := s.run(context.Background(), strings.Split(*binaries, ","))
	if err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
	if missed {
		os.Exit(1)
	}
}

// figures are the results of a binary in all rounds, by factor.
type figures struct {
	goodput  map[float64][]float64 // rate of answers in time, as a fraction of the capacity of the same round
	refusals map[float64][]float64 // median time of refusals in milliseconds
}

// run measures all binaries, alternating, and judges them.
func (s *settings) run(ctx context.Context, binaries []string) (missed bool, err error) {
	all := make([]figures, len(binaries))
	servers := make([]*server, len(binaries))
	for i, binary := range binaries {
		all[i] = figures{map[float64][]float64{}, map[float64][]float64{}}
		if servers[i], err = s.startServer(binary); err != nil {
			return false, err
		}
		defer servers[i].stop()
	}
	fmt.Println("round  server                offered/s  in time/s  part   refused/s   p50 ms  timeout/s  late/s  failed/s    cpu")
	for round := range s.rounds {
		for i, server := range servers {
			if err := s.round(ctx, round, server, &all[i]); err != nil {
				return false, err
			}
		}
	}
	for i, server := range servers {
		missed = all[i].judge(server.name) || missed
	}
	return missed, nil
}

// round measures the capacity of a server and then each factor.
func (s *settings) round(ctx context.Context, round int, target *server, f *figures) error {
	capacity := 0.0
	for _, factor := range append([]float64{0}, s.factors...) {
		p := plan{Clients: s.clients, Duration: s.step, Deadline: s.deadline, Fresh: s.fresh, References: s.references, Length: s.length}
		if factor > 0 {
			p.Rate = factor * capacity
		}
		before, err := target.ProcessorTime()
		if err != nil {
			return err
		}
		r, err := p.send(ctx, target.Address())
		if err != nil {
			return err
		}
		after, err := target.ProcessorTime()
		if err != nil {
			return err
		}
		seconds := s.step.Seconds()
		good := float64(r.Good) / seconds
		if factor == 0 {
			capacity = good
		}
		fmt.Printf("%5d  %-20s %10.0f %10.0f %5.2f  %10.0f %8.1f %10.0f %7.0f %9.0f %6.2f\n", round+1, target.name, float64(r.Sent)/seconds, good, good/capacity,
			float64(r.Refused)/seconds, r.RefusalP50, float64(r.Timeouts)/seconds, float64(r.Late)/seconds, float64(r.Failed)/seconds,
			(after-before).Seconds()/seconds)
		f.goodput[factor] = append(f.goodput[factor], good/capacity)
		if r.Refused > 0 {
			f.refusals[factor] = append(f.refusals[factor], r.RefusalP50)
		}
		time.Sleep(time.Second) // the server finishes its remaining requests
	}
	return nil
}

// judge prints the medians and compares them with the bars.
func (f *figures) judge(name string) (missed bool) {
	goodput, refusal := stat.Median(f.goodput[barFactor]), stat.Median(f.refusals[barFactor])
	if len(f.goodput[barFactor]) == 0 {
		fmt.Printf("%s: not measured at %d times the capacity\n", name, barFactor)
		return true
	}
	verdict := "pass"
	if goodput < goodputMin || refusal > float64(refusalMax.Milliseconds()) {
		verdict, missed = "MISS", true
	}
	fmt.Printf("%s: %s: at %d times the capacity, %.2f of the capacity is answered in time (bar %.2f) and the median refusal takes %.1f ms (bar %d ms)\n",
		name, verdict, barFactor, goodput, goodputMin, refusal, refusalMax.Milliseconds())
	return missed
}

// sendPlan reads a plan from standard input, runs it, and writes its result to standard
// output.
func sendPlan(address string) error {
	var p plan
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(p.run(address))
}
