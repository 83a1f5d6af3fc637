package ns

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// rowUnits is the work of an operation for each row, in units of work.
const rowUnits = 4

// keepRows returns a method that keeps the rows for which keeps returns true. prepare reads
// the arguments.
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
					shown = wire.Targets(l.origin)
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
			Name: "sort", Params: []string{"before: function"}, Returns: []string{"Rows"},
			Doc: "Sorts the rows: before(a, b) returns true if row a comes before row b. Rows of which neither comes before the other keep their order. The answer says that it has the order of a plugin.",
			Run: rowsSort,
		},
	}
	rowsClass.Methods = append(rowsClass.Methods, keepingMethods()...)
	rowsClass.Operators = []vm.Function{{Name: "#", Returns: []string{"integer"}, Doc: "The same as len.", Run: rowsLen}}
	return vm.Module{Classes: []*vm.Class{matchCallClass, rowsClass, rowClass}}
}

// keepingMethods returns the methods that keep some of the rows.
func keepingMethods() []vm.Function {
	return []vm.Function{
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
	}
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
		names, err := targetsOf(l.origin, list)
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
	valueOf, err := groupValue(c, l.origin, field)
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
func groupValue(c *vm.Call, o matcher.Origin, field string) (func(*row) (string, error), error) {
	if name, ok := strings.CutPrefix(field, "extra."); ok {
		return func(r *row) (string, error) {
			c.Charge(len(r.extra))
			if i := indexOfExtra(r.extra, name); i >= 0 {
				c.Charge(len(r.extra[i].JSON) / extraPerUnit)
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
