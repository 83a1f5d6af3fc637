package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// Sized is implemented by the values of Objects that are larger than a few hundred
// bytes. Bytes returns the size of the value. It may be called by any goroutine.
type Sized interface{ Bytes() int }

// A memoryWalk adds up the bytes of all values that a state can reach. Values that
// states share, such as the library and compiled scripts, do not count.
type memoryWalk struct {
	seen     addresses
	bytes    int
	block    uintptr // block of the last number; comparing it is cheaper than a look-up in seen
	toExpand []glua.LValue
}

// reachableBytes returns the live bytes of the state. The caller holds the state's
// lock.
func (s *State) reachableBytes() int64 {
	w := &memoryWalk{}
	for _, v := range s.loaded {
		w.visit(v)
	}
	for _, l := range s.freeThreads {
		w.visit(l)
	}
	for ex := s.callList; ex != nil; ex = ex.next {
		for _, l := range ex.threads {
			w.visit(l)
		}
		if ex.coroutine != nil {
			w.visit(ex.coroutine)
		}
	}
	for l := range s.busyCoroutines {
		w.visit(l)
	}
	s.keepMu.Lock()
	for k := range s.kept {
		w.visitGo(k.value)
	}
	s.keepMu.Unlock()
	for len(w.toExpand) > 0 {
		last := len(w.toExpand) - 1
		v := w.toExpand[last]
		w.toExpand = w.toExpand[:last]
		w.expand(v)
	}
	return int64(w.bytes) + s.heldBytes
}

// visitGo visits a value that was passed to State.Keep.
func (w *memoryWalk) visitGo(v any) {
	switch v := v.(type) {
	case *Ref:
		w.visit(v.value)
	case *Func:
		w.visit(v.value)
	case []any:
		w.bytes += cap(v) * valueBytes
		for _, item := range v {
			w.visitGo(item)
		}
	case Holder:
		v.VisitHeld(w.visitGo)
	}
}

// visit counts a value if it was not seen before. If the value refers to other
// values, visit adds it to toExpand.
func (w *memoryWalk) visit(value glua.LValue) {
	switch v := value.(type) {
	case glua.LNumber:
		if block := dataPointer(value) &^ (numberBlock - 1); block != w.block {
			w.block = block
			if w.seen.insert(block) {
				w.bytes += numberBlock
			}
		}
	case glua.LString:
		if w.seen.insert(dataPointer(value)) {
			w.bytes += boxBytes
			w.countText(string(v))
		}
	case *glua.LTable:
		if w.seen.insert(uintptr(unsafe.Pointer(v))) {
			w.bytes += tableSize(layoutOf(v))
			w.toExpand = append(w.toExpand, v)
		}
	case *glua.LFunction:
		if w.seen.insert(uintptr(unsafe.Pointer(v))) {
			w.bytes += functionBytes + roundUp(8*cap(v.Upvalues))
			w.toExpand = append(w.toExpand, v)
		}
	case *glua.LUserData:
		if o, ok := v.Value.(Object); ok && w.seen.insert(uintptr(unsafe.Pointer(v))) {
			w.bytes += objectBytes
			if sized, ok := o.Value.(Sized); ok {
				w.bytes += sized.Bytes()
			}
			if _, ok := o.Value.(Holder); ok {
				w.toExpand = append(w.toExpand, v)
			}
		}
	case *glua.LState:
		if w.seen.insert(uintptr(unsafe.Pointer(v))) {
			w.bytes += threadBytes
			w.toExpand = append(w.toExpand, v)
		}
	}
}

// countText counts the bytes of a string. Strings of one byte are shared by the
// process and do not count.
func (w *memoryWalk) countText(s string) {
	if len(s) > 1 && w.seen.insert(uintptr(unsafe.Pointer(unsafe.StringData(s)))) {
		w.bytes += roundUp(len(s))
	}
}

// expand visits the values to which v refers.
func (w *memoryWalk) expand(v glua.LValue) {
	switch v := v.(type) {
	case *glua.LTable:
		w.visitTable(layoutOf(v))
	case *glua.LFunction:
		for _, u := range v.Upvalues {
			if u != nil {
				w.visitUpvalues(u)
			}
		}
	case *glua.LUserData:
		v.Value.(Object).Value.(Holder).VisitHeld(w.visitGo)
	case *glua.LState:
		w.visitRegistry(registryOf(v))
	}
}

func (w *memoryWalk) visitTable(t *tableLayout) {
	w.visit(t.Metatable)
	for _, v := range t.array {
		w.visit(v)
	}
	for k, v := range t.strdict {
		w.countText(k)
		w.visit(v)
	}
	for k, v := range t.dict {
		w.visit(k)
		w.visit(v)
	}
	for _, k := range t.keys { // removed keys included
		if s, ok := k.(glua.LString); ok {
			w.bytes += 2 * boxBytes // one in keys, one in k2i
			w.countText(string(s))
			continue
		}
		w.visit(k)
	}
}

// visitUpvalues counts an upvalue and the upvalues linked to it. Even a closed
// upvalue keeps the registry of its thread alive, and also the next upvalues in the
// list of the upvalues that were open at the same time.
func (w *memoryWalk) visitUpvalues(u *glua.Upvalue) {
	for ; u != nil && w.seen.insert(uintptr(unsafe.Pointer(u))); u = upvalueOf(u).next {
		w.bytes += upvalueBytes
		layout := upvalueOf(u)
		w.visitRegistry(layout.reg)
		w.visit(layout.value)
	}
}

func (w *memoryWalk) visitRegistry(r *registryLayout) {
	if r == nil || !w.seen.insert(uintptr(unsafe.Pointer(r))) {
		return
	}
	w.bytes += roundUp(cap(r.array) * valueBytes)
	for _, v := range r.array {
		w.visit(v)
	}
}

// addresses is a set of addresses, a hash table with linear probing.
type addresses struct {
	slots []uintptr // 0 marks a free slot
	n     int       // number of addresses
}

// insert reports whether the address was not in the set.
func (a *addresses) insert(p uintptr) bool {
	if p == 0 {
		return false
	}
	if 2*a.n >= len(a.slots) {
		a.grow()
	}
	mask := uintptr(len(a.slots) - 1)
	for i := hashAddress(p) & mask; ; i = (i + 1) & mask {
		switch a.slots[i] {
		case p:
			return false
		case 0:
			a.slots[i] = p
			a.n++
			return true
		}
	}
}

func (a *addresses) grow() {
	old := a.slots
	a.slots, a.n = make([]uintptr, max(2*len(old), 1024)), 0
	for _, p := range old {
		if p != 0 {
			a.insert(p)
		}
	}
}

// hashAddress mixes the bits of an address, because the low bits of addresses are
// equal.
func hashAddress(p uintptr) uintptr {
	p *= 0x9e3779b97f4a7c15
	return p ^ p>>32
}
