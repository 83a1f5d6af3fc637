package lua

import (
	"fmt"
	"sync"
)

// maxReady bounds the functions of one plugin that wait for the server.
const maxReady = 1024

// readiness holds back what a plugin does only when the server listens. Its
// zero value holds back.
type readiness struct {
	mu      sync.Mutex
	begun   bool
	waiting []func()
}

// add has f called when the server listens: at once if it does.
func (r *readiness) add(f func()) error {
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

// begin calls what waits. Later calls do nothing.
func (r *readiness) begin() {
	r.mu.Lock()
	waiting := r.waiting
	r.begun, r.waiting = true, nil
	r.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}
