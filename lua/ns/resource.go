package ns

import (
	"errors"
	"time"

	"nearside/lua/vm"
)

// Resources is a snapshot of the resource usage and the load of the process.
type Resources struct {
	CPU        time.Duration // processor time of all cores since the start
	RSS        int64         // resident memory, in bytes
	Heap       int64         // bytes of heap objects, without descriptors
	Goroutines int
	Uptime     time.Duration
	Queue      int // sub-requests that wait for a worker
	Workers    int // for matching
	Rows       int // stored objects of all origins
}

// resourceUnits is the charge for querying the runtime and the system.
const resourceUnits = 1000

// resourceModule is ns.resource.
func resourceModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name:    "resource",
		Returns: []string{"{cpu: number, rss: integer, heap: integer, goroutines: integer, uptime: number, queue: integer, workers: integer, rows: integer}"},
		Doc: "Returns the resource usage and the load of the process: cpu (seconds of processor time since the start), rss and heap (bytes), goroutines, uptime (seconds), " +
			"queue (sub-requests that wait for a worker), workers (for matching) and rows (stored objects).",
		Run: func(c *vm.Call) error {
			resources := self(c).Plugin.Host.Services.Resources
			if resources == nil {
				return errors.New("this host does not measure its resources")
			}
			c.Charge(resourceUnits)
			r := resources()
			return c.Return(map[string]any{
				"cpu": r.CPU.Seconds(), "rss": r.RSS, "heap": r.Heap, "goroutines": r.Goroutines,
				"uptime": r.Uptime.Seconds(), "queue": r.Queue, "workers": r.Workers, "rows": r.Rows,
			})
		},
	}}}
}
