package ns

import (
	"fmt"
	"sync"
)

// maxReady is the maximum number of functions of one plugin that wait for the server.
const maxReady = 1024

// readiness delays functions of a plugin until the server listens. With the zero
// value, the server does not listen yet.
type readiness struct {
	mu      sync.Mutex
	begun   bool
	waiting []func()
}

// callWhenReady calls f when the server listens. If the server listens already, it calls
// f at once.
func (r *readiness) callWhenReady(f func()) error {
	r.mu.Lock()
	if r.begun {
		r.mu.Unlock()
		f()
		return nil
	}
	defer r.mu.Unlock()
	if len(r.waiting) >= maxReady {
		return fmt.Errorf("more than %d functions wait for the server", maxReady)
	}
	r.waiting = append(r.waiting, f)
	return nil
}

// Begin records that the server listens, and calls the waiting functions. Later calls do
// nothing.
func (r *readiness) Begin() {
	r.mu.Lock()
	waiting := r.waiting
	r.begun, r.waiting = true, nil
	r.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}
