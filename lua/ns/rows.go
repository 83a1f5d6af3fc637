package ns

import (
	"errors"
	"sync"

	"nearside/lua/vm"
	"nearside/matcher"
)

// Rows is the Go value of the argument rows of the hook results: the rows of an answer. Its
// methods change the list and return it.
type Rows struct {
	origin matcher.Origin
	room   *ExtraRoom

	mu      sync.Mutex // guards the fields below; a task of the plugin may use the object later
	all     []*row     // also those that the hook has removed
	rows    []*row
	targets []string // the fields that the answer shows; nil: all
	changed struct{ targets, order bool }
	charged int64 // bytes of added fields that were taken from room
	busy    bool
	ended   bool
}

// row is a row of Rows, and the Go value of a script's Row.
type row struct {
	list  *Rows
	match matcher.Match
	extra []matcher.Extra
	boxed *vm.Ref // the row as a value of the script; nil: it has not been passed yet
}

// Bytes implements [vm.Sized]. A row that a script keeps is empty after the hook has ended.
func (*row) Bytes() int { return 160 }

// NewRows returns the rows of a result. room bounds the added fields of the whole answer.
// The caller must call Commit or Discard.
func NewRows(sub *matcher.SubRequest, result *matcher.Result, room *ExtraRoom) *Rows {
	l := &Rows{origin: sub.Candidates.Origin, room: room, targets: sub.Candidates.Targets, rows: make([]*row, len(result.Matches))}
	if result.Targets != nil {
		l.targets = result.Targets
	}
	for i := range result.Matches {
		l.rows[i] = &row{list: l, match: result.Matches[i]}
		if result.Extra != nil {
			l.rows[i].extra = result.Extra[i]
		}
	}
	l.all = l.rows
	return l
}

// Object returns l for the script.
func (l *Rows) Object() vm.Object { return vm.Object{Class: rowsClass, Value: l} }

// Commit ends the use of the rows, and changes a result as the hook has changed them. first
// is the first result of the hook.
func (l *Rows) Commit(first any, result *matcher.Result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o, _ := first.(vm.Object); first != nil && o.Value != l {
		return errors.New("the result must be rows, the second argument, or nothing")
	}
	if l.busy {
		return errors.New("a task of the plugin still changes the rows")
	}
	matches, extra, added := make([]matcher.Match, len(l.rows)), make([][]matcher.Extra, len(l.rows)), false
	for i, r := range l.rows {
		matches[i], extra[i] = r.match, r.extra
		added = added || r.extra != nil
	}
	result.Matches, result.Extra = matches, nil
	if added {
		result.Extra = extra
	}
	if l.changed.targets {
		result.Targets = l.targets
	}
	result.PluginOrder = result.PluginOrder || l.changed.order
	l.charged = 0
	l.end()
	return nil
}

// Discard ends the use of the rows without a change of the result. After Commit, it has no
// effect.
func (l *Rows) Discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended && !l.busy {
		l.room.used.Add(-l.charged)
	}
	l.end()
}

// end makes further uses of the rows an error. A script that keeps a row does not keep its
// object. l.mu is held.
func (l *Rows) end() {
	l.ended = true
	for _, r := range l.all {
		r.match, r.extra = matcher.Match{}, nil
	}
	l.rows, l.all, l.targets = nil, nil, nil
}

var errRowsEnded = errors.New("rows cannot be used after the hook results has ended")

// change runs f, which returns the rows of the changed list. f may call Lua functions. It
// must not change the slice rows.
func (l *Rows) change(c *vm.Call, f func(rows []*row) ([]*row, error)) error {
	rows, err := l.begin()
	if err != nil {
		return err
	}
	defer l.finish() // also after an error of a Lua function
	if rows, err = f(rows); err != nil {
		return err
	}
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.rows = rows
	}
	l.mu.Unlock()
	if ended {
		return errRowsEnded
	}
	return c.Return(l.Object())
}

func (l *Rows) begin() ([]*row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return nil, errRowsEnded
	case l.busy:
		return nil, errors.New("a function that a method of rows calls must not change rows")
	}
	l.busy = true
	return l.rows, nil
}

func (l *Rows) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
}

// current returns the rows for reading.
func (l *Rows) current() ([]*row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errRowsEnded
	}
	return l.rows, nil
}
