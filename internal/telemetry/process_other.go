//go:build !linux

package telemetry

import "time"

// processUsage returns 0: it is implemented for Linux only.
func processUsage() (cpu time.Duration, rss int64) { return 0, 0 }

// Resident returns 0: it is implemented for Linux only.
func Resident() int64 { return 0 }
