package vm

import (
	"sync"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// Budgets are counted in units of work, so that no call fails because the machine is
// busy. One unit is about one instruction. Go functions are charged for their work,
// and allocations for their time.
const (
	longestUnit  = 40 * time.Nanosecond // upper bound of the calibrated time of a unit
	shortestUnit = 4 * time.Nanosecond  // lower bound

	bytesPerUnit = 64 // bytes that can be allocated, filled and collected in one unit

	// By the clock, a slice may take backstop times its budget, and at least
	// minBackstop. This limits work that is not counted. The factor is so large
	// that a slice does not reach the limit on a busy machine.
	backstop    = 20
	minBackstop = 2 * time.Second
)

// unit returns the time of one unit of work on this machine when it is idle. It is
// measured when the first state is made.
var unit = sync.OnceValue(calibrate)

// unitsIn returns the number of units of work in d, at least 1.
func unitsIn(d time.Duration) uint64 { return uint64(max(int64(d/unit()), 1)) }

// calibrationSource is ordinary Lua: arithmetic, comparisons, tables and calls.
const calibrationSource = `
local t, n = {}, 0
for i = 1, 16 do t[i] = i end
local function add(a, b) return a + b end
for i = 1, 1500 do
  if t[i % 16 + 1] > 8 then n = n + 1 else n = add(n, i) end
  t.last = n
end`

// calibrate runs a short script several times and uses the fastest run, because a
// busy machine interrupts runs. It returns the time of one unit.
func calibrate() time.Duration {
	script, err := Compile("calibration", calibrationSource, "calibration")
	if err != nil {
		panic("vm: " + err.Error())
	}
	l := glua.NewState(stateOptions())
	defer l.Close()
	fastest := longestUnit
	for range 30 {
		ex := &execution{state: &State{}, unitsLeft: 1 << 30} // so large that the budget is never checked
		l.SetContext(ex)
		l.Push(l.NewFunctionFromProto(script.proto))
		start := time.Now()
		err := l.PCall(0, glua.MultRet, nil)
		took := time.Since(start)
		if err != nil {
			panic("vm: calibration: " + err.Error())
		}
		fastest = min(fastest, took/time.Duration(1<<30-ex.unitsLeft))
	}
	return max(fastest, shortestUnit)
}
