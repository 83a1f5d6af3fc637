package lua

import (
	"math"
	"time"

	"nearside/internal/units"
	"nearside/lua/goval"
	"nearside/lua/vm"
)

// Bounds of limits.memory.
const (
	minMemory = 1 << 20
	maxMemory = 1 << 40
)

// briefly returns the budget of a hook that delays a request: d for the work of Lua
// code and d for waiting. Work is counted, not measured by a clock, so a busy machine
// does not make the hook fail.
func briefly(d time.Duration) vm.Limits { return vm.Limits{Work: d, Wait: d} }

// readSize reads a field that is a number of bytes from low to high, or a text such
// as "64MiB".
func readSize(r *goval.Reader, field string, low, high int64) int64 {
	n, ok := parseSize(r.Map[field])
	if !ok || n < low || n > high {
		r.Fault(field, "%v is not a size from %d to %d bytes: write a number of bytes, or a text such as \"64MiB\"", r.Map[field], low, high)
		return low
	}
	return n
}

func parseSize(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		return units.ParseSize(v)
	}
	return 0, false
}
