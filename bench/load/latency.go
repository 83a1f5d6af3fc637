package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the longest latency that is told apart; longer ones count as
// this one.
const latencyMax = 10 * time.Minute

// Latencies counts latencies from 1 us to 10 minutes with three significant
// digits, in a fixed 300 KB or so. The zero value is not ready: see
// [NewLatencies]. It is not safe for concurrent use; each client has its own,
// and they are merged at the end.
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
	_ = l.h.RecordValue(min(max(us, 1), latencyMax.Microseconds())) // cannot be out of range
}

// Merge adds the latencies of other.
func (l *Latencies) Merge(other *Latencies) { l.h.Merge(other.h) }

// Count returns how many were added.
func (l *Latencies) Count() int { return int(l.h.TotalCount()) }

// Quantile returns the latency that the part q of 0..1 of all does not exceed,
// 0 when there are none.
func (l *Latencies) Quantile(q float64) time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.ValueAtQuantile(q*100)) * time.Microsecond
}

// Max returns the longest latency, 0 when there are none.
func (l *Latencies) Max() time.Duration { return time.Duration(l.h.Max()) * time.Microsecond }

// Mean returns the mean latency, 0 when there are none.
func (l *Latencies) Mean() time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.Mean() * float64(time.Microsecond))
}
