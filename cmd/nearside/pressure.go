package main

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"nearside/internal/telemetry"
	"nearside/matcher"
)

const (
	// pressureAge is the maximum age of a memory reading.
	pressureAge = 50 * time.Millisecond
	// pressureRelease is the minimum time between two adjustments of the garbage
	// collector, and between two attempts to return memory to the system.
	pressureRelease = time.Second
	// heapMin is the minimum heap limit. With less, the garbage collector would run
	// all the time.
	heapMin = 128 << 20
)

// pressure refuses work while the process has more memory than limits.process_memory,
// so that the kernel does not kill it. Work is allowed again when the process has less
// than 95 % of the limit. Without this gap, the state would change back and forth at
// every reading.
//
// Nothing runs in the background. The memory is read when work arrives, at most once
// per pressureAge.
type pressure struct {
	read    func() int64                // returns the resident memory of the process
	release func()                      // returns unused memory to the system
	adjust  func(limit, resident int64) // sets the limit of the heap, see adjustHeap
	now     func() time.Time
	log     *slog.Logger

	limit   atomic.Int64 // 0: no limit
	tight   atomic.Bool
	matches atomic.Int64 // refused
	writes  atomic.Int64 // refused

	mu       sync.Mutex
	readAt   time.Time
	released time.Time // time of the last adjustment and release
}

func newPressure(log *slog.Logger) *pressure {
	return &pressure{read: telemetry.Resident, release: debug.FreeOSMemory, adjust: adjustHeap, now: time.Now, log: log}
}

// configure sets the limit; 0: 90 % of the memory of the machine or the control group.
func (p *pressure) configure(limit int64) {
	if limit == 0 {
		limit = processMemory("/")
	}
	p.limit.Store(limit)
}

// processMemory returns 90 % of the memory of the control group or of the machine,
// whichever has less; 0: both are unknown.
func processMemory(root string) int64 {
	available := memTotal(filepath.Join(root, "proc/meminfo"))
	if group := cgroupLimit(root); group > 0 && (available == 0 || group < available) {
		available = group
	}
	return int64(available / 10 * 9)
}

// isTight reports whether work is refused now.
func (p *pressure) isTight() bool {
	if p.limit.Load() > 0 && p.mu.TryLock() { // if locked, another goroutine is reading the memory
		defer p.mu.Unlock()
		if now := p.now(); now.Sub(p.readAt) >= pressureAge {
			p.readAt = now
			p.readMemory(now)
		}
	}
	return p.tight.Load() && p.limit.Load() > 0
}

// readMemory reads the memory and updates the state. The caller holds p.mu.
func (p *pressure) readMemory(now time.Time) {
	limit, resident := p.limit.Load(), p.read()
	if now.Sub(p.released) >= pressureRelease {
		p.released = now
		p.adjust(limit, resident)
		if resident >= limit || p.tight.Load() {
			p.release()
			resident = p.read()
		}
	}
	switch tight := p.tight.Load(); {
	case !tight && resident >= limit:
		p.tight.Store(true)
		p.log.Warn("limits.process_memory is reached: matches and writes are refused", "resident_bytes", resident, "limit_bytes", limit)
	case tight && resident < limit-limit/20:
		p.tight.Store(false)
		p.log.Info("the memory is below limits.process_memory again: matches and writes are allowed", "resident_bytes", resident, "limit_bytes", limit)
	}
}

// refuseMatch returns an error if a match must be refused.
func (p *pressure) refuseMatch() error {
	if !p.isTight() {
		return nil
	}
	p.matches.Add(1)
	return matcher.Errorf(matcher.CodeUnavailable, "memory: the process has reached limits.process_memory, %d bytes", p.limit.Load())
}

// refuseWrite returns an error if a write that adds data must be refused.
func (p *pressure) refuseWrite() error {
	if !p.isTight() {
		return nil
	}
	p.writes.Add(1)
	return matcher.Errorf(matcher.CodeFull, "memory: the process has reached limits.process_memory, %d bytes; delete objects to free memory", p.limit.Load())
}

// figures returns the values for metrics.
func (p *pressure) figures() (limit int64, reached bool, matches, writes int64) {
	return p.limit.Load(), p.isTight(), p.matches.Load(), p.writes.Load()
}

// adjustHeap sets the limit of the heap: the limit of the process minus the memory
// outside of the heap, such as rows. It changes nothing if GOMEMLIMIT is set.
func adjustHeap(limit, resident int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	heap := int64(min(s[0].Value.Uint64()-s[1].Value.Uint64(), math.MaxInt64))
	debug.SetMemoryLimit(max(heapMin, limit-max(0, resident-heap)))
}
