package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Summary holds the figures of a Result for tables and JSON.
type Summary struct {
	Clients        int            `json:"clients"`
	Rate           float64        `json:"rate,omitempty"` // of the plan; 0 for a closed loop
	Seconds        float64        `json:"seconds"`
	Requests       int            `json:"requests"`
	Errors         map[string]int `json:"errors,omitempty"`
	PerSecond      float64        `json:"requests_per_second"`
	PairsPerSecond float64        `json:"pairs_per_second"` // references x rows compared
	Latency        Latency        `json:"latency_ms"`
}

// Latency has quantiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Summary returns the figures of r. pairs is the number of pairs of a reference and a row
// that a request compares.
func (r *Result) Summary(pairs int) Summary {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	l := r.Latencies
	return Summary{
		Clients: r.Plan.Clients, Rate: r.Plan.Rate, Seconds: r.Elapsed.Seconds(), Requests: r.Requests, Errors: r.Errors,
		PerSecond: r.Rate(), PairsPerSecond: r.Rate() * float64(pairs),
		Latency: Latency{
			ms(l.Quantile(0.5)), ms(l.Quantile(0.9)), ms(l.Quantile(0.99)), ms(l.Quantile(0.999)), ms(l.Max()), ms(l.Mean()),
		},
	}
}

// WriteTable writes a table of summaries, and below it the numbers of errors by kind.
func WriteTable(w io.Writer, all []Summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "clients\trate\trequests/s\tM pairs/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\tanswers\terrors\t") // Flush returns its errors
	total := map[string]int{}
	for i := range all {
		s := &all[i]
		failed, rate := 0, "closed"
		for kind, n := range s.Errors {
			failed += n
			total[kind] += n
		}
		if s.Rate > 0 {
			rate = strconv.FormatFloat(s.Rate, 'g', -1, 64)
		}
		l := &s.Latency
		_, _ = fmt.Fprintf(t, "%d\t%s\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%d\t\n",
			s.Clients, rate, s.PerSecond, s.PairsPerSecond/1e6, l.P50, l.P90, l.P99, l.P999, l.Max, s.Requests, failed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(total)) {
		if _, err := fmt.Fprintf(w, "%d requests failed: %s\n", total[kind], kind); err != nil {
			return err
		}
	}
	return nil
}
