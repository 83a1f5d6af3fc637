package vm

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Profile counts the work of the Lua lines of states, by samples. Its methods may be called
// by any goroutine. The zero value is empty.
type Profile struct {
	mu    sync.Mutex
	lines map[string]uint64 // samples by "file:line"
}

// A ProfileLine is the work of one line, with that of the library functions that it calls.
type ProfileLine struct {
	Line string        // "file:line"; empty: work outside of lines
	Time time.Duration // estimated from the work
}

// profileLevels is the number of levels of the stack that are searched for a Lua line.
const profileLevels = 10

// sample counts the line that the execution runs now.
func (p *Profile) sample(ex *execution) {
	line := ""
	for l, level := ex.state.main.G.CurrentThread, 0; level < profileLevels && l != nil; level++ {
		if line = lineOf(l, level); line != "" {
			break
		}
	}
	line = strings.TrimSuffix(untagged(line), ": ")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lines == nil {
		p.lines = map[string]uint64{}
	}
	p.lines[line]++
}

// Lines returns the lines, the most expensive first.
func (p *Profile) Lines() []ProfileLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]ProfileLine, 0, len(p.lines))
	for _, line := range slices.Sorted(maps.Keys(p.lines)) {
		all = append(all, ProfileLine{line, time.Duration(p.lines[line]) * checkEvery * unit()}) //nolint:gosec // counts of samples are far below 2^63
	}
	slices.SortStableFunc(all, func(a, b ProfileLine) int { return cmp.Compare(b.Time, a.Time) })
	return all
}

// shiftSamples makes the first sample of a call come after a random number of units, so that
// short calls are sampled, too. It does not change the units that are counted.
func (ex *execution) shiftSamples(offset int) {
	ex.unitsLeft -= offset
	ex.unitsUsed -= uint64(offset) //nolint:gosec // it wraps, and countUnits adds the same number again
}
