package telemetry

import (
	"runtime"
	"runtime/metrics"
	"time"

	"nearside/lua"
	"nearside/matcher"
)

// started is about when the process was.
var started = time.Now()

// Resources returns the figures of the process, and what [Gauges] say of its
// work.
func (t *Telemetry) Resources() lua.Resources {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	r := lua.Resources{
		Heap: int64(heap[0].Value.Uint64()), Goroutines: runtime.NumGoroutine(), Uptime: time.Since(started),
	}
	r.CPU, r.RSS = usage()
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
