package telemetry

import (
	"runtime"
	"runtime/metrics"
	"time"

	"nearside/lua/ns"
	"nearside/matcher"
)

// started is the approximate start time of the process.
var started = time.Now()

// Resources returns the resource usage of the process and values of its [Gauges].
func (t *Telemetry) Resources() ns.Resources {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	r := ns.Resources{
		Heap: int64(heap[0].Value.Uint64()), Goroutines: runtime.NumGoroutine(), Uptime: time.Since(started),
	}
	r.CPU, r.RSS = processUsage()
	if t.gauges.Queue != nil {
		r.Queue = t.gauges.Queue()
	}
	if t.gauges.Workers != nil {
		r.Workers = t.gauges.Workers()
	}
	if t.gauges.Rows != nil {
		for origin := range matcher.Origins {
			r.Rows += t.gauges.Rows(origin)
		}
	}
	return r
}
