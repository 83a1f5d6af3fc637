//go:build amd64 && !purego

package simd

import (
	"bytes"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestSignalsDuringTiles compares values of a wide tile while its threads get signals all
// the time: SIGURG, with which Go preempts, SIGPROF from a profile, and SIGUSR1, for which
// the program has a handler. The signal frame holds the tile registers, and a handler runs
// on a signal stack that Go has chosen without knowing of them.
func TestSignalsDuringTiles(t *testing.T) {
	k := kernels[len(kernels)-1]
	if err := k.WhyUnusable(); err != nil {
		t.Skipf("%s: %v", k.Name(), err)
	}
	if err := pprof.StartCPUProfile(&bytes.Buffer{}); err == nil { // a profile of the whole test is as good
		defer pprof.StopCPUProfile()
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	defer signal.Stop(caught)

	const dims, count = DimMax, GroupMax
	r := seeded(51)
	s := blocksOf(make([]byte, 4*BlockBytesU8(dims)), randomRows(r, 4*BlockRows, dims), RowConstU8)
	queries := randomRows(r, count, dims)
	var q QueriesU8
	k.PackU8(&q, queries)
	var tile TileU8
	for b := range TileBlocks {
		tile.AddBlock(s.block(b))
	}
	want := new(HitsU8)
	k.TileU8(&q, 0, &tile, new([GroupMax]int32), want, nil)

	const workers, signals = 2, 3000
	var working sync.WaitGroup
	var sent atomic.Int32
	threads := make(chan int, workers)
	for range workers {
		working.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			threads <- syscall.Gettid()
			hits, limits := new(HitsU8), new([GroupMax]int32)
			for sent.Load() < signals {
				clear(hits.Values[:])
				k.TileU8(&q, 0, &tile, limits, hits, &tile)
				if hits.Values != want.Values || hits.Masks != want.Masks {
					t.Error("the values differ from those without signals")
					return
				}
			}
		})
	}
	ids := []int{<-threads, <-threads}
	for sent.Load() < signals && !t.Failed() {
		for _, id := range ids {
			for _, sig := range []syscall.Signal{syscall.SIGURG, syscall.SIGPROF, syscall.SIGUSR1} {
				if err := syscall.Tgkill(syscall.Getpid(), id, sig); err != nil {
					t.Fatal(err)
				}
				sent.Add(1)
			}
		}
		runtime.Gosched()
	}
	working.Wait()
	<-caught
}
