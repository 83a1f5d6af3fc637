//go:build !linux

package telemetry

import "time"

// usage is not known here.
func usage() (cpu time.Duration, rss int64) { return 0, 0 }
