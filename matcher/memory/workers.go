package memory

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"

	"nearside/matcher"
)

// waitersMax bounds the matches that wait for a worker; beyond it a request is
// refused rather than queued without end.
const waitersMax = 4096

// workers is the pool that all scans run on, so that however many requests
// there are, no more scans run than there are cores for them.
type workers struct{ pool *ants.Pool }

func newWorkers(n int) (*workers, error) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	pool, err := ants.NewPool(n, ants.WithMaxBlockingTasks(waitersMax), ants.WithExpiryDuration(time.Minute))
	if err != nil {
		return nil, err
	}
	return &workers{pool}, nil
}

func (w *workers) close() { w.pool.Release() }

// each runs f(0) to f(n-1) on the pool and waits for all of them. f must not
// call each: a full pool would wait for itself. A panic in f is returned as an
// error, after the others have ended.
func (w *workers) each(n int, f func(i int)) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = err
		}
	}
	for i := range n {
		wg.Add(1)
		err := w.pool.Submit(func() {
			defer wg.Done()
			defer func() {
				if p := recover(); p != nil {
					fail(matcher.Errorf(matcher.CodeInternal, "memory: scan: panic: %v", p))
				}
			}()
			f(i)
		})
		if err != nil {
			wg.Done()
			if errors.Is(err, ants.ErrPoolOverload) || errors.Is(err, ants.ErrPoolClosed) {
				err = matcher.Errorf(matcher.CodeUnavailable, "matching: all workers are busy and %d matches wait already", waitersMax)
			}
			fail(err)
			break
		}
	}
	wg.Wait()
	return failed
}
