package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// Sized is implemented by the values of Objects that are larger than a few
// hundred bytes. Bytes may be called by any goroutine.
type Sized interface{ Bytes() int }

// A walk adds up the bytes of all values that a state can reach. What states
// share, such as the library and compiled scripts, does not count.
type walk struct {
	seen  addresses
	bytes int
	block uintptr // of the last number: a cheap look before seen
	open  []glua.LValue
}

// reachable returns the bytes of all that is alive in the state. Its lock is
// held, so nothing changes meanwhile.
func (s *State) reachable() int64 {
	w := &walk{}
	for _, v := range s.loaded {
		w.visit(v)
	}
	for _, l := range s.free {
		w.visit(l)
	}
	for t := s.calling; t != nil; t = t.after {
		for _, l := range t.threads {
			w.visit(l)
		}
		if t.current != nil {
			w.visit(t.current)
		}
	}
	for l := range s.busy {
		w.visit(l)
	}
	s.keepMu.Lock()
	for k := range s.kept {
		w.visitGo(k.value)
	}
	s.keepMu.Unlock()
	for len(w.open) > 0 {
		last := len(w.open) - 1
		v := w.open[last]
		w.open = w.open[:last]
		w.expand(v)
	}
	return int64(w.bytes) + s.holding
}

func (w *walk) visitGo(v any) {
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
		v.Held(w.visitGo)
	}
}

// visit counts a value that was not seen before, and keeps it for expand when
// it refers to others.
func (w *walk) visit(value glua.LValue) {
	switch v := value.(type) {
	case glua.LNumber:
		if block := wordOf(value) &^ (numberBlock - 1); block != w.block {
			w.block = block
			if w.seen.add(block) {
				w.bytes += numberBlock
			}
		}
	case glua.LString:
		if w.seen.add(wordOf(value)) {
			w.bytes += boxBytes
			w.text(string(v))
		}
	case *glua.LTable:
		if w.seen.add(uintptr(unsafe.Pointer(v))) {
			w.bytes += tableSize(layoutOf(v))
			w.open = append(w.open, v)
		}
	case *glua.LFunction:
		if w.seen.add(uintptr(unsafe.Pointer(v))) {
			w.bytes += functionBytes + roundUp(8*cap(v.Upvalues))
			w.open = append(w.open, v)
		}
	case *glua.LUserData:
		if o, ok := v.Value.(Object); ok && w.seen.add(uintptr(unsafe.Pointer(v))) {
			w.bytes += objectBytes
			if sized, ok := o.Value.(Sized); ok {
				w.bytes += sized.Bytes()
			}
		}
	case *glua.LState:
		if w.seen.add(uintptr(unsafe.Pointer(v))) {
			w.bytes += threadBytes
			w.open = append(w.open, v)
		}
	}
}

// text counts the bytes of a string. Strings of one byte are shared by all.
func (w *walk) text(s string) {
	if len(s) > 1 && w.seen.add(uintptr(unsafe.Pointer(unsafe.StringData(s)))) {
		w.bytes += roundUp(len(s))
	}
}

// expand visits what a value refers to.
func (w *walk) expand(v glua.LValue) {
	switch v := v.(type) {
	case *glua.LTable:
		w.table(layoutOf(v))
	case *glua.LFunction:
		for _, u := range v.Upvalues {
			if u != nil {
				w.upvalue(u)
			}
		}
	case *glua.LState:
		w.registry(registryOf(v))
	}
}

func (w *walk) table(t *tableLayout) {
	w.visit(t.Metatable)
	for _, v := range t.array {
		w.visit(v)
	}
	for k, v := range t.strdict {
		w.text(k)
		w.visit(v)
	}
	for k, v := range t.dict {
		w.visit(k)
		w.visit(v)
	}
	for _, k := range t.keys { // removed ones, too
		if s, ok := k.(glua.LString); ok {
			w.bytes += 2 * boxBytes // one for keys, one for k2i
			w.text(string(s))
			continue
		}
		w.visit(k)
	}
}

// upvalue counts an upvalue. Also a closed one keeps its thread's registry, and
// the upvalues behind it that were open when it was.
func (w *walk) upvalue(u *glua.Upvalue) {
	for ; u != nil && w.seen.add(uintptr(unsafe.Pointer(u))); u = upvalueOf(u).next {
		w.bytes += upvalueBytes
		layout := upvalueOf(u)
		w.registry(layout.reg)
		w.visit(layout.value)
	}
}

func (w *walk) registry(r *registryLayout) {
	if r == nil || !w.seen.add(uintptr(unsafe.Pointer(r))) {
		return
	}
	w.bytes += roundUp(cap(r.array) * valueBytes)
	for _, v := range r.array {
		w.visit(v)
	}
}

// addresses is a set of addresses: a hash table with linear probing.
type addresses struct {
	slots []uintptr // 0 is free
	n     int
}

// add reports whether the address was not in the set.
func (a *addresses) add(p uintptr) bool {
	if p == 0 {
		return false
	}
	if 2*a.n >= len(a.slots) {
		a.grow()
	}
	mask := uintptr(len(a.slots) - 1)
	for i := spread(p) & mask; ; i = (i + 1) & mask {
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
			a.add(p)
		}
	}
}

// spread mixes the bits of an address, whose low ones are equal.
func spread(p uintptr) uintptr {
	p *= 0x9e3779b97f4a7c15
	return p ^ p>>32
}
