package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows the progress of an import on a terminal, with its rate and the
// remaining time. It shows nothing elsewhere. Only one goroutine may use it.
type progress struct {
	bar *progressbar.ProgressBar // nil: nothing is shown
}

// newProgress returns the progress of an import of totalBytes bytes; -1: unknown.
func newProgress(w io.Writer, totalBytes int64) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions64(totalBytes,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// set shows the number of lines that were sent, and their bytes of input. An error of
// the bar is ignored, because it must not end the import.
func (p *progress) set(lines, bytes int64) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%d lines", lines))
		_ = p.bar.Set64(bytes)
	}
}

// clear removes the bar until the next set, so that a line can be printed.
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

// newPartProgress returns the progress of work whose done part is known.
func newPartProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions(1000,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(),
	)}
}

// setPart shows the part of the work that is done, from 0 to 1.
func (p *progress) setPart(part float64) {
	if p.bar != nil {
		_ = p.bar.Set(int(1000 * part))
	}
}
