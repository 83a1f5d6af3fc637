package vm

import (
	"sync"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// Budgets are counted in units of work, so that a machine that is busy with
// something else fails nobody. One unit is about one instruction. Functions of
// Go are charged in units for what they do, and allocations for the time that
// they cost.
const (
	unitMost  = 40 * time.Nanosecond // a unit takes no longer on any machine worth the name
	unitLeast = 4 * time.Nanosecond

	bytesPerUnit = 64 // allocated, filled and collected again

	// backstop is how many times its budget a slice may take by the clock. It
	// is for what is not counted, and generous: a busy machine must not reach it.
	backstop      = 20
	leastBackstop = 2 * time.Second
)

// unit is how long a unit of work takes on this machine when it is idle. It is
// measured when the first state is made.
var unit = sync.OnceValue(calibrate)

// unitsIn is how many units of work take d.
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

// calibrate runs a short script several times and takes the fastest run: on a
// busy machine the others were interrupted.
func calibrate() time.Duration {
	script, err := Compile("calibration", calibrationSource, "calibration")
	if err != nil {
		panic("vm: " + err.Error())
	}
	l := glua.NewState(stateOptions())
	defer l.Close()
	fastest := unitMost
	for range 30 {
		t := &task{state: &State{}, left: 1 << 30} // which is never checked
		l.SetContext(t)
		l.Push(l.NewFunctionFromProto(script.proto))
		start := time.Now()
		err := l.PCall(0, glua.MultRet, nil)
		took := time.Since(start)
		if err != nil {
			panic("vm: calibration: " + err.Error())
		}
		fastest = min(fastest, took/time.Duration(1<<30-t.left))
	}
	return max(fastest, unitLeast)
}
