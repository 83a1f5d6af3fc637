package load

import "time"

// kindsMax bounds the kinds of errors that are told apart.
const kindsMax = 16

// others and notSent are kinds of errors beside those that happen.
const (
	others  = "others"
	notSent = "not sent: the server is too slow for the rate"
)

// Result is what a Run found. Requests of the warm-up are not in it.
type Result struct {
	Plan      Plan
	Elapsed   time.Duration  // to the end of the last request; the plan's duration or more
	Requests  int            // answered as they should be
	Errors    map[string]int // others, by what happened
	BytesIn   int64          // of good answers
	Latencies *Latencies     // of good answers
}

func newResult(p Plan) *Result {
	return &Result{Plan: p, Errors: map[string]int{}, Latencies: NewLatencies()}
}

func (r *Result) add(latency time.Duration, n int, err error) {
	if err != nil {
		r.fail(kind(err), 1)
		return
	}
	r.Requests++
	r.BytesIn += int64(n)
	r.Latencies.Add(latency)
}

func (r *Result) fail(what string, n int) {
	kinds := len(r.Errors)
	if r.Errors[others] > 0 {
		kinds--
	}
	if r.Errors[what] == 0 && kinds >= kindsMax {
		what = others
	}
	r.Errors[what] += n
}

func (r *Result) merge(other *Result) {
	r.Requests += other.Requests
	r.BytesIn += other.BytesIn
	r.Latencies.Merge(other.Latencies)
	for what, n := range other.Errors {
		r.fail(what, n)
	}
}

// Failed returns the number of requests that failed.
func (r *Result) Failed() int {
	sum := 0
	for _, n := range r.Errors {
		sum += n
	}
	return sum
}

// Rate returns good answers per second.
func (r *Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }
