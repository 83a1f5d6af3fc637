package lua

import (
	"math"
	"strconv"
	"strings"
	"time"

	"nearside/lua/vm"
)

// Bounds of limits.memory.
const (
	minMemory = 1 << 20
	maxMemory = 1 << 40
)

// briefly is the budget of a hook in the path of a request: so much of Lua,
// counted as work, and so much of waiting. A busy machine fails neither.
func briefly(d time.Duration) vm.Limits { return vm.Limits{Work: d, Wait: d} }

// sizeUnits are the units of sizes, as in the configuration.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

// size is a field that is a number of bytes from low to high, or a text such
// as "64MiB".
func (r *reader) size(field string, low, high int64) int64 {
	n, ok := parseSize(r.m[field])
	if !ok || n < low || n > high {
		r.fault(field, "%v is not a size from %d to %d bytes: write a number of bytes, or a text such as \"64MiB\"", r.m[field], low, high)
		return low
	}
	return n
}

func parseSize(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		unit := int64(1)
		for _, u := range sizeUnits {
			if rest, ok := strings.CutSuffix(v, u.name); ok {
				v, unit = strings.TrimSpace(rest), u.bytes
				break
			}
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit {
			return 0, false
		}
		return n * unit, true
	}
	return 0, false
}
