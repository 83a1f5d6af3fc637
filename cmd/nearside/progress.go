package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far an import is, with its rate and the
// time left; elsewhere it is silent. It is fed by one goroutine and has none.
type progress struct {
	bar *progressbar.ProgressBar // nil: silent
}

// newProgress expects all bytes of input; -1 is unknown.
func newProgress(w io.Writer, all int64) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions64(all,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// set shows how many lines were answered, and how many bytes of input that is.
// A bar that cannot be drawn is no reason to end an import.
func (p *progress) set(lines, bytes int64) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%d lines", lines))
		_ = p.bar.Set64(bytes)
	}
}

// clear makes room for a line.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// close removes the bar.
func (p *progress) close() {
	p.clear()
	p.bar = nil
}
