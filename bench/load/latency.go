package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the longest latency that Latencies record. Longer latencies count as
// latencyMax.
const latencyMax = 10 * time.Minute

// Latencies is a histogram of latencies from 1 us to 10 minutes with three significant
// digits. It has a fixed size of about 300 KB. Use [NewLatencies] to create one. It is not
// safe for concurrent use: each client has its own Latencies, which are merged at the end.
type Latencies struct {
	h *hdrhistogram.Histogram
}

// NewLatencies returns empty Latencies.
func NewLatencies() *Latencies {
	return &Latencies{hdrhistogram.New(1, latencyMax.Microseconds(), 3)}
}

// Add counts one latency, rounded up to microseconds.
func (l *Latencies) Add(d time.Duration) {
	us := int64((d + time.Microsecond - 1) / time.Microsecond)
	_ = l.h.RecordValue(min(max(us, 1), latencyMax.Microseconds())) // never out of range
}

// Merge adds the latencies of other.
func (l *Latencies) Merge(other *Latencies) { l.h.Merge(other.h) }

// Count returns the number of latencies.
func (l *Latencies) Count() int { return int(l.h.TotalCount()) }

// Quantile returns the latency that a fraction q, from 0 to 1, of all latencies does not
// exceed. It returns 0 if there are no latencies.
func (l *Latencies) Quantile(q float64) time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.ValueAtQuantile(q*100)) * time.Microsecond
}

// Max returns the longest latency, or 0 if there are no latencies.
func (l *Latencies) Max() time.Duration { return time.Duration(l.h.Max()) * time.Microsecond }

// Mean returns the mean latency, or 0 if there are no latencies.
func (l *Latencies) Mean() time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.Mean() * float64(time.Microsecond))
}
