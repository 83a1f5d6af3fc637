package lua

import (
	"errors"
	"time"

	"nearside/lua/vm"
)

// Resources are figures of the process and of what it does, of one moment.
type Resources struct {
	CPU        time.Duration // processor time used since the start, of all cores
	RSS        int64         // bytes of memory that the system has given
	Heap       int64         // bytes of objects on the heap, descriptors not among them
	Goroutines int
	Uptime     time.Duration
	Queue      int // sub-requests that wait for a worker
	Workers    int // of matching
	Rows       int // objects stored, of all origins
}

// resourceModule tells how the process is.
func resourceModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name:    "resource",
		Returns: []string{"{cpu: number, rss: integer, heap: integer, goroutines: integer, uptime: number, queue: integer, workers: integer, rows: integer}"},
		Doc: "Tells how the process is: cpu (seconds of processor time since the start), rss and heap (bytes), goroutines, uptime (seconds), " +
			"queue (sub-requests that wait for a worker), workers (of matching), rows (objects stored).",
		Run: func(c *vm.Call) error {
			ask := self(c).plugin.host.o.Services.Resources
			if ask == nil {
				return errors.New("this host has no figures")
			}
			r := ask()
			return c.Return(map[string]any{
				"cpu": r.CPU.Seconds(), "rss": r.RSS, "heap": r.Heap, "goroutines": r.Goroutines,
				"uptime": r.Uptime.Seconds(), "queue": r.Queue, "workers": r.Workers, "rows": r.Rows,
			})
		},
	}}}
}
