package vm

// addToCalls adds the execution to the state's list of running calls. The values
// on the threads of running calls count as live. The caller holds the state's
// lock.
func (ex *execution) addToCalls() {
	s := ex.state
	if ex.next = s.callList; ex.next != nil {
		ex.next.prev = ex
	}
	s.callList = ex
}

// removeFromCalls removes the execution from the list of running calls. The caller
// holds the state's lock.
func (ex *execution) removeFromCalls() {
	if ex.prev != nil {
		ex.prev.next = ex.next
	} else {
		ex.state.callList = ex.next
	}
	if ex.next != nil {
		ex.next.prev = ex.prev
	}
}

// A Holder keeps Lua values of a state in Go. VisitHeld calls visit for each of them. The
// value of an Object may be a Holder; others must be passed to State.Keep.
// A value is a *Ref, a *Func, or a []any of them.
type Holder interface{ VisitHeld(visit func(v any)) }

// A keptValue is a value that Keep has registered.
type keptValue struct{ value any }

// Keep counts value as live until release is called. value is a *Ref, a *Func, a
// []any of them, or a Holder. Go code that keeps such a value longer than a call
// must call Keep, because memory is measured by walking the reachable values.
func (s *State) Keep(value any) (release func()) {
	k := &keptValue{value}
	s.keepMu.Lock()
	s.kept[k] = struct{}{}
	s.keepMu.Unlock()
	return func() {
		s.keepMu.Lock()
		delete(s.kept, k)
		s.keepMu.Unlock()
	}
}
