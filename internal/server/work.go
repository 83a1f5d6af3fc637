package server

import "runtime"

// workers bounds how much of an import or export runs at once, for all of them
// together: as much as there are cores. Requests that need little then find a
// short queue for the cores, however many imports and exports there are. Nobody
// waits for a client while it holds one of them.
type workers chan struct{}

func newWorkers() workers { return make(workers, runtime.GOMAXPROCS(0)) }

func (w workers) begin() { w <- struct{}{} }

func (w workers) end() { <-w }

// do runs f as one of the workers.
func (w workers) do(f func()) {
	w.begin()
	defer w.end()
	f()
}
