package ns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"nearside/lua/vm"
)

// Limits of the locks of one plugin.
const (
	maxLocks    = 10_000 // that are held or waited for
	maxLockName = 256    // bytes
)

// locks are the locks of a plugin that are held or waited for, by name. The zero value is
// ready to use.
type locks struct {
	mu  sync.Mutex
	all map[string]*namedLock
}

// A namedLock is a lock that is held or waited for.
type namedLock struct {
	turn  turn
	users int // holders and waiters, guarded by locks.mu
}

// A lockHandle is the value of ns.lock. It belongs to one state.
type lockHandle struct {
	in   *Instance
	name string

	held *namedLock // nil: this handle does not hold the lock; guarded by heldLocks.mu
}

// heldLocks are the handles of an instance that hold their lock. The zero value is ready to
// use.
type heldLocks struct {
	mu  sync.Mutex
	all map[*lockHandle]struct{}
}

// releaseAll releases the locks that scripts have not released.
func (k *heldLocks) releaseAll() {
	k.mu.Lock()
	all := slices.Collect(maps.Keys(k.all))
	k.mu.Unlock()
	for _, h := range all {
		h.release()
	}
}

var lockClass = &vm.Class{
	Name: "Lock", Doc: "A lock that one task of the plugin holds at a time. The one that waits longest is next. It is released when its state ends.",
	Methods: []vm.Function{
		{
			Name: "acquire", Params: []string{"seconds?: number"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Waits for the lock and returns true, or nil and \"timeout\" after seconds. Without seconds, it waits as long as the call may. A task that holds the lock must not acquire it again.",
			Run: func(c *vm.Call) error {
				ok, err := acquireLock(c, c.Self().(*lockHandle), c.Has(1), 1)
				switch {
				case err != nil:
					return err
				case !ok:
					return c.Return(nil, "timeout")
				}
				return c.Return(true)
			},
		},
		{
			Name: "release", Doc: "Releases the lock.",
			Run: func(c *vm.Call) error {
				if !c.Self().(*lockHandle).release() {
					return errors.New("the lock is not held: release must follow an acquire of the same object that returned true")
				}
				return nil
			},
		},
		{
			Name: "with", Params: []string{"fn: function", "...: any"}, Returns: []string{"any ..."}, Waits: true,
			Doc: "Waits for the lock, calls fn(...) and releases the lock, also if fn raises an error. Returns copies of the results of fn.",
			Run: lockWith,
		},
	},
}

func newLock(c *vm.Call) error {
	name := c.Text(1)
	if name == "" || len(name) > maxLockName {
		return fmt.Errorf("the name of a lock must have 1 to %d bytes, got %d", maxLockName, len(name))
	}
	c.Charge(taskUnits)
	return c.Return(vm.Object{Class: lockClass, Value: &lockHandle{in: self(c), name: name}})
}

func lockWith(c *vm.Call) error {
	// The handle is a new one, because another task may use the script's object meanwhile.
	script := c.Self().(*lockHandle)
	h := &lockHandle{in: script.in, name: script.name}
	fn := c.Func(1)
	args := make([]any, 0, max(c.Args()-1, 0))
	for i := 2; i <= c.Args(); i++ {
		args = append(args, c.Ref(i))
	}
	if _, err := acquireLock(c, h, false, 0); err != nil {
		return err
	}
	defer h.release()
	results, err := c.Invoke(fn, args...)
	if err != nil {
		return err
	}
	return c.Return(results...)
}

// acquireLock waits for the lock of h. If limited is true, argument i is the number of
// seconds after which it returns false.
func acquireLock(c *vm.Call, h *lockHandle, limited bool, i int) (ok bool, err error) {
	c.Charge(taskUnits)
	d := time.Duration(0)
	if limited {
		if d, err = Duration(c.Number(i)); err != nil {
			return false, err
		}
	}
	err = c.Wait(func(ctx context.Context) (err error) {
		ok, err = h.acquire(ctx, limited, d)
		return err
	})
	if ok && err != nil { // the call was killed in the meantime
		h.release()
	}
	return ok && err == nil, err
}

// acquire waits for the lock. If limited is true and d is over, it returns false.
func (h *lockHandle) acquire(ctx context.Context, limited bool, d time.Duration) (ok bool, err error) {
	all := &h.in.Plugin.Lasting.locks
	l, err := all.use(h.in.Plugin.Host, h.name)
	if err != nil {
		return false, err
	}
	if limited {
		ok, err = l.turn.lockWithin(ctx, d)
	} else {
		err = l.turn.lock(ctx)
		ok = err == nil
	}
	if !ok {
		all.leave(h.name, l)
		return false, err
	}
	k := &h.in.locks
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[*lockHandle]struct{}{}
	}
	h.held, k.all[h] = l, struct{}{}
	return true, nil
}

// release releases the lock. It returns false if h does not hold it.
func (h *lockHandle) release() bool {
	k := &h.in.locks
	k.mu.Lock()
	l := h.held
	h.held = nil
	delete(k.all, h)
	k.mu.Unlock()
	if l == nil {
		return false
	}
	l.turn.unlock()
	h.in.Plugin.Lasting.locks.leave(h.name, l)
	return true
}

// use returns the lock of a name. The caller must call leave.
func (t *locks) use(h *Host, name string) (*namedLock, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.all[name]
	if l == nil {
		if len(t.all) >= maxLocks {
			return nil, fmt.Errorf("the plugin uses more than %d locks at the same time", maxLocks)
		}
		if t.all == nil {
			t.all = map[string]*namedLock{}
		}
		l = &namedLock{turn: turn{host: h}}
		t.all[name] = l
	}
	l.users++
	return l, nil
}

// leave ends a use.
func (t *locks) leave(name string, l *namedLock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(t.all, name)
	}
}
