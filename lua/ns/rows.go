package ns

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Rows is the Go value of the argument rows of the hook results: the rows of an answer. Its
// methods change the list and return it.
type Rows struct {
	sub  *matcher.SubRequest
	room *ExtraRoom

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
	l := &Rows{sub: sub, room: room, targets: sub.Candidates.Targets, rows: make([]*row, len(result.Matches))}
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
	l.rows, l.all = nil, nil
}

var errRowsEnded = errors.New("the hook results has ended, so its rows cannot be used any more")

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

// rowUnits is the work of an operation for each row, in units of work.
const rowUnits = 4

// keep returns a method that keeps the rows for which keeps returns true.
func keepRows(prepare func(c *vm.Call, l *Rows) (keeps func(i int, r *row) (bool, error), err error)) func(*vm.Call) error {
	return func(c *vm.Call) error {
		l := c.Self().(*Rows)
		keeps, err := prepare(c, l)
		if err != nil {
			return err
		}
		return l.change(c, func(rows []*row) ([]*row, error) {
			c.Charge(rowUnits * len(rows))
			kept := make([]*row, 0, len(rows))
			for i, r := range rows {
				keep, err := keeps(i, r)
				if err != nil {
					return nil, err
				}
				if keep {
					kept = append(kept, r)
				}
			}
			return kept, nil
		})
	}
}

// rowsModule has the classes of the arguments of the hooks request and results.
func rowsModule() vm.Module {
	rowsClass.Methods = []vm.Function{
		{Name: "len", Returns: []string{"integer"}, Doc: "Returns the number of rows.", Run: rowsLen},
		{
			Name: "at", Params: []string{"i: integer"}, Returns: []string{"Row?"}, Doc: "Returns row i, from 1, or nil if there is no such row.",
			Run: func(c *vm.Call) error {
				rows, err := c.Self().(*Rows).current()
				i := c.Int(1)
				if err != nil {
					return err
				}
				if i < 1 || i > len(rows) {
					return c.Return(nil)
				}
				object, err := rows[i-1].object(c)
				if err != nil {
					return err
				}
				return c.Return(object)
			},
		},
		{
			Name: "group_by", Params: []string{"field: string", "n: integer"}, Returns: []string{"Rows"},
			Doc: "Keeps the first n rows of each value of a field, or of an added field: extra.name. The rows of a value follow its first row. A row without the field is kept.",
			Run: rowsGroup,
		},
		{
			Name: "hide", Params: []string{"...: string"}, Returns: []string{"Rows"}, Doc: "Removes fields from the answer. Scripts can still read them. The id of the object cannot be hidden.",
			Run: showRows(func(l *Rows, names []string) []string {
				shown := l.targets
				if shown == nil {
					shown = wire.Targets(l.sub.Candidates.Origin)
				}
				return slices.DeleteFunc(slices.Clone(shown), func(name string) bool { return slices.Contains(names, name) })
			}),
		},
		{
			Name: "only", Params: []string{"...: string"}, Returns: []string{"Rows"}, Doc: "Removes all other fields from the answer, except for the id of the object and added fields. It does not show fields that the request does not ask for.",
			Run: showRows(func(l *Rows, names []string) []string {
				return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return l.targets != nil && !slices.Contains(l.targets, name) })
			}),
		},
		{
			Name: "add", Params: []string{"name: string", "value: any"}, Returns: []string{"Rows"},
			Doc: "Adds a field to each row, which the answer shows in extra. If value is a function, it is called with each row, and its result is the value; nil: the row does not get the field. A value must be one that JSON has.",
			Run: rowsAdd,
		},
		{
			Name: "where_similarity", Params: []string{"op: string", "x: number"}, Returns: []string{"Rows"},
			Doc: "Keeps the rows for which the comparison of the similarity with x is true. op is one of = != < <= > >=.",
			Run: keepRows(bySimilarity),
		},
		{
			Name: "drop", Params: []string{"test: function"}, Returns: []string{"Rows"}, Doc: "Removes the rows for which test(row) returns true.",
			Run: keepRows(func(c *vm.Call, _ *Rows) (func(int, *row) (bool, error), error) {
				test := c.Func(1)
				return func(_ int, r *row) (bool, error) {
					result, err := callWith(c, test, r)
					return !isTrue(result), err
				}, nil
			}),
		},
		{
			Name: "limit", Params: []string{"n: integer"}, Returns: []string{"Rows"}, Doc: "Keeps the first n rows.",
			Run: keepRows(func(c *vm.Call, _ *Rows) (func(int, *row) (bool, error), error) {
				n := c.Count(1, 0)
				return func(i int, _ *row) (bool, error) { return i < n, nil }, nil
			}),
		},
		{
			Name: "sort", Params: []string{"before: function"}, Returns: []string{"Rows"},
			Doc: "Sorts the rows: before(a, b) returns true if row a comes before row b. Rows of which neither comes before the other keep their order. The answer says that it has the order of a plugin.",
			Run: rowsSort,
		},
	}
	rowsClass.Operators = []vm.Function{{Name: "#", Returns: []string{"integer"}, Doc: "The same as len.", Run: rowsLen}}
	return vm.Module{Classes: []*vm.Class{matchCallClass, rowsClass, rowClass}}
}

var rowsClass = &vm.Class{
	Name: "Rows", Doc: "The argument rows of the hook results: the rows of an answer, in its order. Each method that changes the list returns it.",
}

// isTrue reports whether a result of a Lua function is neither nil nor false.
func isTrue(result any) bool { return result != nil && result != false }

func rowsLen(c *vm.Call) error {
	l, ok := c.Self().(*Rows)
	if !ok {
		l = c.Object(1, rowsClass).(*Rows)
	}
	rows, err := l.current()
	if err != nil {
		return err
	}
	return c.Return(len(rows))
}

// showRows returns a method whose arguments are names of fields, and which sets the fields
// that the answer shows to the result of f.
func showRows(f func(l *Rows, names []string) []string) func(*vm.Call) error {
	return func(c *vm.Call) error {
		l := c.Self().(*Rows)
		list := make([]any, c.Args())
		for i := range list {
			list[i] = c.Text(i + 1)
		}
		names, err := targetsOf(l.sub.Candidates.Origin, list)
		if err != nil {
			return err
		}
		return l.change(c, func(rows []*row) ([]*row, error) {
			l.targets, l.changed.targets = f(l, names), true
			return rows, nil
		})
	}
}

// bySimilarity is the test of where_similarity.
func bySimilarity(c *vm.Call, _ *Rows) (func(int, *row) (bool, error), error) {
	op, x := c.Text(1), c.Number(2)
	if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, op) || math.IsNaN(x) {
		return nil, fmt.Errorf("must be one of = != < <= > >= and a number, got %q and %v", goval.Shorten(op), x)
	}
	return func(_ int, r *row) (bool, error) {
		switch s := r.match.Similarity; op {
		case "=":
			return s == x, nil
		case "!=":
			return s != x, nil
		case "<":
			return s < x, nil
		case "<=":
			return s <= x, nil
		case ">":
			return s > x, nil
		default:
			return s >= x, nil
		}
	}, nil
}

// rowsGroup is group_by.
func rowsGroup(c *vm.Call) error {
	l, field, n := c.Self().(*Rows), c.Text(1), c.Count(2, 1)
	valueOf, err := groupValue(l.sub.Candidates.Origin, field)
	if err != nil {
		return err
	}
	return l.change(c, func(rows []*row) ([]*row, error) {
		c.Charge(4 * rowUnits * len(rows))
		kept, groups := make([]*row, 0, len(rows)), make([]int, 0, len(rows))
		byValue, sizes, sorted := make(map[string]int, len(rows)), make([]int, 0, len(rows)), true
		for _, r := range rows {
			value, err := valueOf(r)
			if err != nil {
				return nil, err
			}
			group, known := byValue[value]
			if value == "" || !known {
				group = len(sizes)
				byValue[value] = group
				sizes = append(sizes, 0)
			}
			if sizes[group]++; sizes[group] > n {
				continue
			}
			sorted = sorted && group == len(sizes)-1
			kept, groups = append(kept, r), append(groups, group)
		}
		if !sorted {
			sort.Stable(byGroup{kept, groups})
		}
		return kept, nil
	})
}

// byGroup sorts rows by their groups.
type byGroup struct {
	rows   []*row
	groups []int
}

func (b byGroup) Len() int           { return len(b.rows) }
func (b byGroup) Less(i, j int) bool { return b.groups[i] < b.groups[j] }
func (b byGroup) Swap(i, j int) {
	b.rows[i], b.rows[j] = b.rows[j], b.rows[i]
	b.groups[i], b.groups[j] = b.groups[j], b.groups[i]
}

// groupValue returns a function that returns the value of a field as text, or "" for a row
// without the field.
func groupValue(o matcher.Origin, field string) (func(*row) (string, error), error) {
	if name, ok := strings.CutPrefix(field, "extra."); ok {
		return func(r *row) (string, error) {
			if i := indexOfExtra(r.extra, name); i >= 0 {
				return r.extra[i].JSON, nil
			}
			return "", nil
		}, nil
	}
	if wire.Target(o, field) == "" {
		return nil, fmt.Errorf("field: %w", unknownTarget(o, field))
	}
	return func(r *row) (string, error) {
		value := r.value(field)
		if value == nil {
			return "", nil
		}
		text, err := goval.ScalarText(value)
		if err != nil {
			return "", fmt.Errorf("field: rows can only be grouped by texts and numbers, and %s is neither", field)
		}
		return text, nil
	}, nil
}

// rowsSort is sort.
func rowsSort(c *vm.Call) error {
	l, before := c.Self().(*Rows), c.Func(1)
	return l.change(c, func(rows []*row) ([]*row, error) {
		sorted := slices.Clone(rows)
		var failed error
		sort.SliceStable(sorted, func(i, j int) bool {
			result, err := callWith(c, before, sorted[i], sorted[j])
			if err != nil && failed == nil {
				failed = err
			}
			return isTrue(result)
		})
		if failed == nil {
			l.changed.order = true
		}
		return sorted, failed
	})
}

// Bounds of the fields that plugins add to rows.
const (
	ExtraRowMax    = 16 << 10 // bytes of the added fields of a row, as JSON
	ExtraAnswerMax = 16 << 20 // bytes of the added fields of an answer
	extraNameMax   = 64       // bytes of the name of a field
)

// ExtraRoom counts the bytes of added fields in one answer.
type ExtraRoom struct{ used atomic.Int64 }

// take counts bytes. It returns an error, and counts nothing, if there are too many.
func (r *ExtraRoom) take(bytes int64) error {
	if r.used.Add(bytes) > ExtraAnswerMax {
		r.used.Add(-bytes)
		return fmt.Errorf("the fields that plugins add to the rows of an answer must have at most %d bytes in all", ExtraAnswerMax)
	}
	return nil
}

// rowsAdd is add.
func rowsAdd(c *vm.Call) error {
	l, name := c.Self().(*Rows), c.Text(1)
	if err := checkExtraName(name); err != nil {
		return err
	}
	encoded, err := extraValue(c)
	if err != nil {
		return err
	}
	return l.change(c, func(rows []*row) ([]*row, error) {
		c.Charge(2 * rowUnits * len(rows))
		extra, total := make([][]matcher.Extra, len(rows)), int64(0)
		for i, r := range rows {
			text, err := encoded(r)
			if err == nil && text != "" {
				total += int64(len(name) + len(text))
				extra[i], err = withExtra(r.extra, matcher.Extra{Name: name, JSON: text})
			}
			if err != nil {
				return nil, fmt.Errorf("row %d: %s: %w", i+1, name, err)
			}
		}
		if err := l.room.take(total); err != nil {
			return nil, err
		}
		l.charged += total
		for i, r := range rows {
			if extra[i] != nil {
				r.extra = extra[i]
			}
		}
		return rows, nil
	})
}

// extraValue returns a function that returns the value of an added field for a row, as JSON;
// "": the row does not get the field. The value is argument 2, or the result of argument 2.
func extraValue(c *vm.Call) (func(r *row) (string, error), error) {
	value := c.Value(2)
	if fn, ok := value.(*vm.Func); ok {
		return func(r *row) (string, error) {
			result, err := callWith(c, fn, r)
			if err != nil || result == nil {
				return "", err
			}
			return extraJSON(c, result)
		}, nil
	}
	if value == nil {
		return nil, errors.New("value: must not be nil")
	}
	text, err := extraJSON(c, value)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	return func(*row) (string, error) { return text, nil }, nil
}

// extraJSON returns a value as JSON.
func extraJSON(c *vm.Call, v any) (string, error) {
	if text, ok := v.(string); ok && len(text) > ExtraRowMax { // do not encode it first
		return "", extraTooLarge(len(text))
	}
	encoded, err := encodeExtra(v)
	if err != nil {
		return "", err
	}
	c.Allocate(len(encoded))
	return string(encoded), nil
}

// encodeExtra is goval.EncodeJSON, which is slow for the usual values.
func encodeExtra(v any) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		return wire.AppendValue(nil, wire.JSON, v), nil
	case string:
		if utf8.ValidString(v) {
			return wire.AppendValue(nil, wire.JSON, v), nil
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.AppendInt(nil, int64(v), 10), nil
		}
	}
	return goval.EncodeJSON(v)
}

func extraTooLarge(bytes int) error {
	return fmt.Errorf("the added fields of a row must have at most %d bytes as JSON, got %d", ExtraRowMax, bytes)
}

func checkExtraName(name string) error {
	if name == "" || len(name) > extraNameMax || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("name: must have 1 to %d letters, digits and _, got %q", extraNameMax, goval.Shorten(name))
	}
	return nil
}

// withExtra returns the added fields of a row with one more, or with another value of it.
func withExtra(old []matcher.Extra, added matcher.Extra) ([]matcher.Extra, error) {
	all, bytes := make([]matcher.Extra, 0, len(old)+1), 0
	for _, e := range old {
		if e.Name != added.Name {
			all = append(all, e)
			bytes += e.Bytes()
		}
	}
	if bytes += added.Bytes(); bytes > ExtraRowMax {
		return nil, extraTooLarge(bytes)
	}
	return append(all, added), nil
}

func indexOfExtra(extra []matcher.Extra, name string) int {
	return slices.IndexFunc(extra, func(e matcher.Extra) bool { return e.Name == name })
}
