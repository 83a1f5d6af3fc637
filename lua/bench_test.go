package lua

import (
	"context"
	"testing"
)

var benchPoint = map[string]any{
	"series": "requests", "time": 1.7e9,
	"tags":   map[string]any{"service": "nearside", "route": "POST:/matcher/faces", "status_code": 200},
	"fields": map[string]any{"request_id": "1536751345,6a1a-4b1c", "execution_time": 0.0123},
}

// BenchmarkEmit measures the time that an event adds to the request that causes it.
func BenchmarkEmit(b *testing.B) {
	h, _ := startHost(b, versioned("1", `function M:handle_event(points) end`))
	b.ReportAllocs()
	for b.Loop() {
		h.Emit("monitoring_event", func() any { return benchPoint })
	}
}

// BenchmarkHandle measures the time that handle_event needs for one event, in batches of 256.
func BenchmarkHandle(b *testing.B) {
	h, _ := startHost(b, versioned("1", `local n = 0
function M:handle_event(points) for i = 1, #points do n = n + points[i].fields.execution_time end end`))
	p := h.current.Load().plugins[0]
	batch := make([]func() any, 256)
	for i := range batch {
		batch[i] = func() any { return benchPoint }
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(batch) {
		p.handleBatch(context.Background(), p.main.first(), "monitoring_event", batch)
	}
	if p.Failures.Load() > 0 {
		b.Fatal(*p.LastError.Load())
	}
}
