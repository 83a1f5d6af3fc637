package telemetry

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processUsage returns the processor time used so far and the resident memory in
// bytes. A value that the system does not report is 0.
func processUsage() (cpu time.Duration, rss int64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return cpu, Resident()
}

// Resident returns the resident memory of the process in bytes, or 0 if the system
// does not report it.
func Resident() (rss int64) {
	statm, err := os.ReadFile("/proc/self/statm") // size, resident, ... in pages
	if fields := strings.Fields(string(statm)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		rss = pages * int64(os.Getpagesize())
	}
	return rss
}
