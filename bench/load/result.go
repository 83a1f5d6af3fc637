package load

import "time"

// kindsMax is the largest number of kinds of errors that are counted separately.
const kindsMax = 16

// Additional kinds of errors. otherErrors counts all kinds above kindsMax, and notSent
// counts requests of the open loop that were never sent.
const (
	otherErrors = "others"
	notSent     = "not sent: the server is too slow for the rate"
)

// Result is the result of Run, without the requests of the warm-up.
type Result struct {
	Plan      Plan
	Elapsed   time.Duration  // time until the end of the last request, at least the plan's duration
	Requests  int            // number of requests with a good answer
	Errors    map[string]int // number of failed requests, by kind of error
	BytesIn   int64          // total size of good answers
	Latencies *Latencies     // of good answers
}

func newResult(p Plan) *Result {
	return &Result{Plan: p, Errors: map[string]int{}, Latencies: NewLatencies()}
}

// addRequest adds the outcome of a request whose answer has n bytes.
func (r *Result) addRequest(latency time.Duration, n int, err error) {
	if err != nil {
		r.addErrors(errorKind(err), 1)
		return
	}
	r.Requests++
	r.BytesIn += int64(n)
	r.Latencies.Add(latency)
}

// addErrors adds n failed requests of a kind.
func (r *Result) addErrors(kind string, n int) {
	kinds := len(r.Errors)
	if r.Errors[otherErrors] > 0 {
		kinds--
	}
	if r.Errors[kind] == 0 && kinds >= kindsMax {
		kind = otherErrors
	}
	r.Errors[kind] += n
}

func (r *Result) merge(other *Result) {
	r.Requests += other.Requests
	r.BytesIn += other.BytesIn
	r.Latencies.Merge(other.Latencies)
	for kind, n := range other.Errors {
		r.addErrors(kind, n)
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

// Rate returns the number of good answers per second.
func (r *Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }
