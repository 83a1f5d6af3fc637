package vm

// enlist puts a call into the list of those in progress: what is on its
// threads is alive. The state's lock is held.
func (t *task) enlist() {
	s := t.state
	if t.after = s.calling; t.after != nil {
		t.after.before = t
	}
	s.calling = t
}

func (t *task) delist() {
	if t.before != nil {
		t.before.after = t.after
	} else {
		t.state.calling = t.after
	}
	if t.after != nil {
		t.after.before = t.before
	}
}

// A Holder keeps values of a state in Go. Held calls visit for each of them:
// a *Ref, a *Func, or a list of those.
type Holder interface{ Held(visit func(v any)) }

type keeping struct{ value any }

// Keep counts a value that Go keeps as alive, until release is called: a *Ref,
// a *Func, a list of those, or a Holder. Whoever keeps one of these longer
// than a call has to say so: memory is measured by what can be reached.
func (s *State) Keep(value any) (release func()) {
	k := &keeping{value}
	s.keepMu.Lock()
	s.kept[k] = struct{}{}
	s.keepMu.Unlock()
	return func() {
		s.keepMu.Lock()
		delete(s.kept, k)
		s.keepMu.Unlock()
	}
}
