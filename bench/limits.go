package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nearside/bench/stat"
	"nearside/simd"
)

// mapRegion maps n bytes on huge pages, where there are, and touches them.
func mapRegion(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("%d bytes cannot be mapped: %w", n, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // the report says what pages there are
	for i := 0; i < len(b); i += 4096 {
		b[i] = byte(i >> 12)
	}
	return b, nil
}

func unmap(b []byte) error {
	if b == nil {
		return nil
	}
	return unix.Munmap(b)
}

// limits are the machine's limits for a kernel with a number of threads.
type limits struct {
	kernel  *simd.Kernel
	threads int
	region  []byte
}

// probeRounds make an arithmetic probe take some milliseconds.
const probeRounds = 2 << 20

// parallel runs f on every thread and returns the seconds until all are done.
// The operating system keeps the threads apart.
func (l *limits) parallel(f func(thread int)) float64 {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for t := range l.threads {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-start
			f(t)
		})
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	return time.Since(begin).Seconds()
}

// stream returns the seconds to read the region once, by all threads together,
// in pieces of which each keeps the scheduler waiting for under a millisecond.
func (l *limits) stream() (float64, error) {
	const piece = 8 << 20
	return l.parallel(func(t int) {
		n := len(l.region) / l.threads
		for part := l.region[t*n : (t+1)*n]; len(part) > 0; part = part[min(piece, len(part)):] {
			l.kernel.ProbeStream(part[:min(piece, len(part))])
		}
	}), nil
}

// u8 and f32 return the seconds for products of bytes, or of floats.
func (l *limits) u8() (float64, error)  { return l.arithmetic(l.kernel.ProbeU8) }
func (l *limits) f32() (float64, error) { return l.arithmetic(l.kernel.ProbeF32) }

func (l *limits) arithmetic(probe func(rounds int) (products int)) (float64, error) {
	seconds := l.parallel(func(int) {
		for range probePieces {
			probe(l.rounds() / probePieces)
		}
	})
	return seconds, nil
}

// probePieces keep the garbage collector of a process from waiting for a probe.
const probePieces = 64

func (l *limits) rounds() int {
	if l.kernel.Name() == "generic" {
		return probeRounds / 64
	}
	return probeRounds
}

// u8Products and f32Products return how many products the probes compute.
func (l *limits) u8Products() float64 {
	return float64(l.kernel.ProbeU8(probePieces)) / probePieces * float64(l.rounds()*l.threads)
}

func (l *limits) f32Products() float64 {
	return float64(l.kernel.ProbeF32(probePieces)) / probePieces * float64(l.rounds()*l.threads)
}

// beside runs code in turn with the probes that can limit it, and returns its
// rounds and a function for what the limit is in each: the seconds that bytes
// from memory, or products of the encoding, take at least.
func (l *limits) beside(rounds int, float bool, bytes, products float64, code ...stat.Run) (*stat.Rounds, func(seconds []float64) float64, error) {
	peak, count := l.u8, l.u8Products()
	if float {
		peak, count = l.f32, l.f32Products()
	}
	r, err := stat.InTurn(rounds, l.stream, append([]stat.Run{peak}, code...)...)
	return r, func(seconds []float64) float64 {
		return max(seconds[0]*bytes/float64(len(l.region)), seconds[1]*products/count)
	}, err
}

// firstCode is the place of the first code among beside's rounds, behind the
// probes.
const (
	streamProbe = iota
	peakProbe
	firstCode
)

// usable returns the kernels that this CPU can run, slowest first; generic only
// when there is no other.
func usable() []*simd.Kernel {
	all := slices.DeleteFunc(simd.Kernels(), func(k *simd.Kernel) bool { return !k.Usable() })
	if len(all) > 1 {
		all = all[1:]
	}
	return all
}

// best returns the fastest kernel that this CPU can run.
func best() *simd.Kernel {
	all := usable()
	return all[len(all)-1]
}

// level returns the kernel of exactly this level, or nil.
func level(name string) *simd.Kernel {
	k, err := simd.Select(name)
	if err != nil || !strings.HasPrefix(k.Name(), name) {
		return nil
	}
	return k
}
