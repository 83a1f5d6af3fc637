package telemetry

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage returns the processor time used so far and the bytes of memory that
// the process has; 0 when the system does not tell.
func usage() (cpu time.Duration, rss int64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	statm, err := os.ReadFile("/proc/self/statm") // size, resident, ... in pages
	if fields := strings.Fields(string(statm)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		rss = pages * int64(os.Getpagesize())
	}
	return cpu, rss
}
