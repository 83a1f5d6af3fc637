package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nearside/bench/stat"
	"nearside/simd"
)

// mapRegion maps n bytes, on huge pages if possible, and writes to every page.
func mapRegion(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("%d bytes cannot be mapped: %w", n, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // the report shows whether huge pages are enabled
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

// limits measures the limits of the machine for a kernel and a number of threads.
type limits struct {
	kernel  *simd.Kernel
	threads int
	region  []byte
}

// probeRounds is the number of rounds of an arithmetic probe, which take a few
// milliseconds.
const probeRounds = 2 << 20

// parallel runs f on every thread and returns the seconds until all have ended. The
// operating system distributes the threads over the cores.
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

// stream returns the seconds in which all threads together read the region once. Each
// call of the probe reads a piece that blocks the scheduler for less than a millisecond.
func (l *limits) stream() (float64, error) {
	const piece = 8 << 20
	return l.parallel(func(t int) {
		n := len(l.region) / l.threads
		for part := l.region[t*n : (t+1)*n]; len(part) > 0; part = part[min(piece, len(part)):] {
			l.kernel.ProbeStream(part[:min(piece, len(part))])
		}
	}), nil
}

// u8 and f32 return the seconds of the arithmetic probes.
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

// probePieces is the number of calls of an arithmetic probe. Short calls keep the
// garbage collector from waiting.
const probePieces = 64

func (l *limits) rounds() int {
	switch l.kernel.Level() {
	case "generic":
		return probeRounds / 64
	case "amx":
		return probeRounds / 32 // an instruction takes 16 cycles, not half a cycle
	}
	return probeRounds
}

// u8Products and f32Products return the numbers of products that u8 and f32 compute.
func (l *limits) u8Products() float64 {
	return float64(l.kernel.ProbeU8(probePieces)) / probePieces * float64(l.rounds()*l.threads)
}

func (l *limits) f32Products() float64 {
	return float64(l.kernel.ProbeF32(probePieces)) / probePieces * float64(l.rounds()*l.threads)
}

// besideProbes runs code, alternating with the probes that limit it, and returns the
// rounds and a function. The function returns the limit of a round: the minimum number
// of seconds to read bytes from memory or to compute products, whichever is longer.
func (l *limits) besideProbes(rounds int, float bool, bytes, products float64, code ...stat.Run) (*stat.Rounds, func(seconds []float64) float64, error) {
	peak, count := l.u8, l.u8Products()
	if float {
		peak, count = l.f32, l.f32Products()
	}
	r, err := stat.RunAlternately(rounds, l.stream, append([]stat.Run{peak}, code...)...)
	return r, func(seconds []float64) float64 {
		return max(seconds[0]*bytes/float64(len(l.region)), seconds[1]*products/count)
	}, err
}

// The indices of the participants in the rounds of besideProbes. firstCode is the index of
// the first run of its parameter code.
const (
	streamProbe = iota
	peakProbe
	firstCode
)

// usableKernels returns the kernels that this CPU can run, slowest first. It returns
// generic only if the CPU can run no other kernel.
func usableKernels() []*simd.Kernel {
	all := slices.DeleteFunc(simd.Kernels(), func(k *simd.Kernel) bool { return !k.Usable() })
	if len(all) > 1 {
		all = all[1:]
	}
	return all
}

// barKernel returns the kernel of the bars that name no level: avx512, or the fastest one
// that this process can run if that is not avx512 or more.
func barKernel() *simd.Kernel {
	if k := kernelOfLevel("avx512"); k != nil {
		return k
	}
	return bestKernel()
}

// bestKernel returns the fastest kernel that this CPU can run.
func bestKernel() *simd.Kernel {
	all := usableKernels()
	return all[len(all)-1]
}

// kernelOfLevel returns the kernel of exactly the named level, or nil if this CPU cannot
// run it.
func kernelOfLevel(name string) *simd.Kernel {
	k, err := simd.Select(name)
	if err != nil || k.Level() != name {
		return nil
	}
	return k
}
