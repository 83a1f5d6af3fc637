package server

import "runtime"

// workers is a semaphore with one place per core. All imports, exports and large
// pages share it, so that other requests do not wait long for a core. A worker
// calls leave before it waits for a client or for memory, and enter after that.
type workers chan struct{}

func newWorkers() workers { return make(workers, runtime.GOMAXPROCS(0)) }

// newDecompressors returns a semaphore with one place per two cores. A small body can have a
// large content, so decompressing must not occupy all cores.
func newDecompressors() workers { return make(workers, max(1, runtime.GOMAXPROCS(0)/2)) }

func (w workers) enter() { w <- struct{}{} }

func (w workers) leave() { <-w }

// runWorker calls f as one of the workers.
func (w workers) runWorker(f func()) {
	w.enter()
	defer w.leave()
	f()
}
