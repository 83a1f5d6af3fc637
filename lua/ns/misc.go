package ns

import (
	"encoding/base64"
	"errors"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// Base64Module is ns.base64: standard base64 with padding.
func Base64Module() vm.Module {
	return vm.Module{Name: "base64", Doc: "Base64, in the standard alphabet with padding.", Functions: []vm.Function{
		{
			Name: "encode", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "Encodes bytes as base64.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 16)
				c.Allocate(3 * len(c.Text(1)))
				return c.Return(base64.StdEncoding.EncodeToString([]byte(c.Text(1))))
			},
		},
		{
			Name: "decode", Params: []string{"text: string"}, Returns: []string{"string?", "string? err"}, Doc: "Decodes base64. Returns nil and an error if text is not valid.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 16)
				c.Allocate(len(c.Text(1)))
				b, err := base64.StdEncoding.DecodeString(c.Text(1))
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(b)
			},
		},
	}}
}

// miscModule has the functions and values of the root that no other module has.
func miscModule() vm.Module {
	return vm.Module{
		Functions: []vm.Function{
			{
				Name: "extend", Params: []string{"base: table", "m: table"}, Returns: []string{"table m"},
				Doc: "Copies to m the hooks and fields of base that m lacks, and returns m. Use it to inherit from base, because the host does not read metatables of a plugin's table.",
				Run: func(c *vm.Call) error { return c.ReturnExtended(1, 2) },
			},
			{
				Name: "uuid", Returns: []string{"string"}, Doc: "Returns a random UUID (version 4).",
				Run: func(c *vm.Call) error {
					c.Charge(20)
					return c.Return(matcher.NewID().String())
				},
			},
		},
		Values: []vm.Value{
			{Name: "conf", Type: "table", Doc: "The plugin's settings, with defaults filled in. Each access returns a new copy.", Get: func(c *vm.Call) any { return self(c).Plugin.Settings }},
			{Name: "name", Type: "string", Doc: "The plugin's name.", Get: func(c *vm.Call) any { return self(c).Plugin.About.Name }},
			{Name: "version", Type: "string", Doc: "The plugin's version.", Get: func(c *vm.Call) any { return self(c).Plugin.About.Version }},
		},
	}
}

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
