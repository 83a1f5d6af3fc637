package trial

import "sync"

// maxOutput is the maximum number of lines of print that a test shows.
const maxOutput = 1000

// An output collects lines of print. Its methods may be called by any goroutine. The zero
// value is empty.
type output struct {
	mu    sync.Mutex
	lines []string
}

// add adds a line. Lines beyond maxOutput are dropped.
func (o *output) add(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch len(o.lines) {
	case maxOutput:
		o.lines = append(o.lines, "... (more lines are not shown)")
	case maxOutput + 1:
	default:
		o.lines = append(o.lines, line)
	}
}

// take returns the lines and removes them.
func (o *output) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.lines
	o.lines = nil
	return lines
}
