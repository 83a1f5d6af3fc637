package ns

import (
	"context"
	"errors"
	"fmt"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
)

// set is the Go value of a script's Set: a selection of rows, with the request that a
// scan needs. If rows is nil, the set is the candidate set of the request, and its rows are
// looked up on first use.
type set struct {
	host *Host
	req  *HookRequest
	rows *memory.Selection
}

// SetOf returns a set of the given rows. If rows is nil, it returns the candidate set
// of req, whose rows are looked up on first use.
func SetOf(h *Host, req *HookRequest, rows *memory.Selection) vm.Object {
	return vm.Object{Class: setClass, Value: &set{h, req, rows}}
}

// LazySet returns the candidate set of req, whose sub-request is sub.
func LazySet(h *Host, req *HookRequest, sub *matcher.SubRequest) vm.Object {
	rows, _ := SelectionOf(sub.Selection) // nil if no prefilter has narrowed it
	return SetOf(h, req, rows)
}

// SelectionOf returns s as a selection of the local matcher.
func SelectionOf(s matcher.Selection) (*memory.Selection, error) {
	rows, ok := s.(*memory.Selection)
	if !ok || rows == nil {
		return nil, fmt.Errorf("the set must be a selection of the local matcher, got %T", s)
	}
	return rows, nil
}

// WholeSet returns the rows of the candidate set of sub. These are the rows that
// prefilters have left, or else the rows that the filters select at the moment of
// the request.
func (h *Host) WholeSet(ctx context.Context, sub *matcher.SubRequest) (*memory.Selection, error) {
	if sub.Selection != nil {
		return SelectionOf(sub.Selection)
	}
	selector := matcher.Selector(h.Services.Matching)
	if sub.Moment != nil {
		selector = sub.Moment
	}
	found, err := selector.Select(ctx, sub.Candidates, sub.Account)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", vm.ErrHost, err)
	}
	return SelectionOf(found)
}

// selection returns the rows of the set.
func (s *set) selection() (*memory.Selection, error) {
	if s.rows == nil {
		r, err := s.req.during()
		if err != nil {
			return nil, err
		}
		found, err := s.host.WholeSet(context.Background(), r.sub)
		if err != nil {
			return nil, err
		}
		s.rows = found
	}
	return s.rows, nil
}

// Narrowed returns the rows that are both in whole and in result, the set that a prefilter
// returned. So a prefilter can only narrow its set.
func Narrowed(result any, whole *memory.Selection) (*memory.Selection, error) {
	object, _ := result.(vm.Object)
	s, ok := object.Value.(*set)
	if !ok {
		return nil, errors.New("the result must be a set")
	}
	if s.rows == whole {
		return whole, nil
	}
	return whole.Intersect(s.rows)
}

var setClass = &vm.Class{
	Name: "Set", Doc: "An immutable selection of rows. Each operation returns a new set.",
}

// setModule has the classes Request and Set, whose objects matching hooks receive, and
// ns.idset. The
// methods of setClass refer to setClass, so they are set here: in its declaration, they
// would make it circular.
func setModule() vm.Module {
	setClass.Methods = append(selectingMethods(), []vm.Function{
		combiningMethod("union", "Returns the rows that are in at least one of the two sets.", (*memory.Selection).Union),
		combiningMethod("intersect", "Returns the rows that are in both sets.", (*memory.Selection).Intersect),
		combiningMethod("minus", "Returns the rows that are not in the other set.", (*memory.Selection).Minus),
		{
			Name: "filter", Params: []string{"test: function", "...: string"}, Returns: []string{"Set"},
			Doc: "Keeps the rows for which test returns true. test receives the values of the named columns. This is slow, because it calls Lua for each row; use the other methods where possible.",
			Run: setFilter,
		},
		{
			Name: "scan", Params: []string{"limit: integer"}, Returns: []string{"table[]"}, Waits: true,
			Doc: "Compares the rows with the reference and returns at most limit matches as {id, distance, similarity}, in the order of the request. Only in match.",
			Run: setScan,
		},
		{
			Name: "to_table", Params: []string{"limit: integer"}, Returns: []string{"table[]"},
			Doc: "Returns the fields of at most limit rows as tables, in no particular order.",
			Run: setTable,
		},
	}...)
	setClass.Operators = []vm.Function{
		{Name: "#", Returns: []string{"integer"}, Doc: "The same as len.", Run: setLen},
		combiningOperator("+", "The same as union.", (*memory.Selection).Union),
		combiningOperator("*", "The same as intersect.", (*memory.Selection).Intersect),
		combiningOperator("-", "The same as minus.", (*memory.Selection).Minus),
	}
	idSetClass.Operators = []vm.Function{{
		Name: "#", Returns: []string{"integer"}, Doc: "The same as len.",
		Run: func(c *vm.Call) error { return c.Return(len(c.Object(1, idSetClass).(*idSet).ids)) },
	}}
	return vm.Module{Classes: []*vm.Class{idSetClass, requestClass, setClass}, Functions: []vm.Function{idSetFunction}}
}

// selectingMethods returns len and the methods that keep some of the rows.
func selectingMethods() []vm.Function {
	return []vm.Function{
		{Name: "len", Returns: []string{"integer"}, Doc: "Returns the number of rows.", Run: setLen},
		{
			Name: "where", Params: []string{"column: string", "op: string", "value: any"}, Returns: []string{"Set"},
			Doc: "Keeps the rows for which the comparison of the column with value is true. op is one of = != < <= > >=.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				return s.Where(c.Text(1), c.Text(2), columnValue(c.Value(3)))
			}),
		},
		{
			Name: "between", Params: []string{"column: string", "a: any", "b: any"}, Returns: []string{"Set"},
			Doc: "Keeps the rows whose column is at least a and at most b.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				return s.Between(c.Text(1), columnValue(c.Value(2)), columnValue(c.Value(3)))
			}),
		},
		{
			Name: "one_of", Params: []string{"column: string", "values: any[]|IdSet"}, Returns: []string{"Set"},
			Doc: "Keeps the rows whose column equals one of values.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				values, err := valuesOf(c, 2)
				if err != nil {
					return nil, err
				}
				return s.OneOf(c.Text(1), values)
			}),
		},
		{
			Name: "ids", Params: []string{"ids: string[]|IdSet"}, Returns: []string{"Set"}, Doc: "Keeps the rows of the objects with these ids.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				ids, err := idsArgument(c, 1)
				return s.ByID(ids), err
			}),
		},
		{
			Name: "exclude", Params: []string{"ids: string[]|IdSet"}, Returns: []string{"Set"}, Doc: "Removes the rows of the objects with these ids.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				ids, err := idsArgument(c, 1)
				return s.Exclude(ids), err
			}),
		},
		{
			Name: "in_lists", Params: []string{"ids: string[]|IdSet"}, Returns: []string{"Set"}, Doc: "Keeps the faces that are in at least one of these lists.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				lists, err := valuesOf(c, 1)
				if err != nil {
					return nil, err
				}
				return s.OneOf("lists", lists)
			}),
		},
		{
			Name: "top", Params: []string{"column: string", "n: integer"}, Returns: []string{"Set"},
			Doc: "Keeps the n rows with the largest values of a column of numbers or times.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				return s.Top(c.Text(1), c.Count(2, 0))
			}),
		},
		{
			Name: "sample", Params: []string{"n: integer", "seed: integer"}, Returns: []string{"Set"},
			Doc: "Keeps n random rows. The same seed selects the same rows.",
			Run: narrowBy(func(c *vm.Call, s *memory.Selection) (*memory.Selection, error) {
				return s.Sample(c.Count(1, 0), uint64(c.IntOr(2, 0))), nil
			}),
		},
	}
}

// The charge for an operation on a set, in units of work: OpCost, plus one unit for
// each rowsPerUnit rows. An operation examines each row at most once.
const (
	OpCost      = 256
	rowsPerUnit = 16
)

// setBytes returns the maximum memory of a set derived from rows, in bytes.
func setBytes(rows *memory.Selection) int { return rows.Bytes() + rows.Len()/8 }

// Bytes implements [vm.Sized].
func (s *set) Bytes() int {
	if s.rows == nil {
		return 0
	}
	return s.rows.Bytes()
}

// returnSet returns a set of the given rows to the script, or err.
func (s *set) returnSet(c *vm.Call, rows *memory.Selection, err error) error {
	c.Charge(OpCost)
	if err != nil {
		return err
	}
	return c.Return(SetOf(s.host, s.req, rows))
}

// narrowBy returns a method that applies f to the rows of its set.
func narrowBy(f func(*vm.Call, *memory.Selection) (*memory.Selection, error)) func(*vm.Call) error {
	return func(c *vm.Call) error {
		s := c.Self().(*set)
		rows, err := s.selection()
		if err == nil {
			c.Charge(rows.Len() / rowsPerUnit)
			c.Allocate(setBytes(rows))
			rows, err = f(c, rows)
		}
		return s.returnSet(c, rows, err)
	}
}

// combine applies an operation to two sets.
func combine(c *vm.Call, a, b *set, f func(a, b *memory.Selection) (*memory.Selection, error)) error {
	x, err := a.selection()
	if err != nil {
		return err
	}
	y, err := b.selection()
	if err != nil {
		return err
	}
	c.Charge((x.Len() + y.Len()) / (8 * rowsPerUnit))
	c.Allocate(setBytes(x) + setBytes(y))
	rows, err := f(x, y)
	return a.returnSet(c, rows, err)
}

func combiningMethod(name, doc string, f func(a, b *memory.Selection) (*memory.Selection, error)) vm.Function {
	return vm.Function{
		Name: name, Params: []string{"other: Set"}, Returns: []string{"Set"}, Doc: doc,
		Run: func(c *vm.Call) error { return combine(c, c.Self().(*set), c.Object(1, setClass).(*set), f) },
	}
}

func combiningOperator(name, doc string, f func(a, b *memory.Selection) (*memory.Selection, error)) vm.Function {
	return vm.Function{Name: name, Params: []string{"a: Set", "b: Set"}, Returns: []string{"Set"}, Doc: doc, Run: func(c *vm.Call) error {
		return combine(c, c.Object(1, setClass).(*set), c.Object(2, setClass).(*set), f)
	}}
}

func setLen(c *vm.Call) error {
	s, ok := c.Self().(*set)
	if !ok {
		s = c.Object(1, setClass).(*set)
	}
	rows, err := s.selection()
	if err != nil {
		return err
	}
	return c.Return(rows.Len())
}

// setFilter keeps the rows for which a Lua function returns true.
func setFilter(c *vm.Call) error {
	s, test := c.Self().(*set), c.Func(1)
	names := make([]string, c.Args()-1)
	for i := range names {
		names[i] = c.Text(i + 2)
	}
	rows, err := s.selection()
	if err != nil {
		return err
	}
	read, err := rows.Reader(names...)
	if err != nil {
		return err
	}
	values := make([]any, len(names))
	kept, err := rows.Keep(context.Background(), func(r memory.Row) (bool, error) {
		read(r, values)
		for i := range values {
			values[i] = forLua(values[i])
		}
		result, err := c.InvokeFirst(test, values...)
		return isTrue(result), err
	})
	return s.returnSet(c, kept, err)
}

// setTable returns rows with their fields as tables.
func setTable(c *vm.Call) error {
	c.Charge(OpCost)
	limit := min(c.Count(1, 0), RowsMax)
	rows, err := c.Self().(*set).selection()
	if err != nil {
		return err
	}
	names := rows.Columns()
	read, err := rows.Reader(names...)
	if err != nil {
		return err
	}
	values, tables := make([]any, len(names)), []any{}
	for r := range rows.Rows() {
		if len(tables) >= limit {
			break
		}
		read(r, values)
		row := make(map[string]any, len(names))
		for i, v := range values {
			if v != nil {
				row[names[i]] = forLua(v)
			}
		}
		tables = append(tables, row)
		c.Charge(len(names))
	}
	return c.Return(tables)
}

// forLua converts the value of a column to a type that scripts can use.
func forLua(v any) any {
	switch v := v.(type) {
	case uint8:
		return float64(v)
	case matcher.Time:
		return v.String()
	case matcher.ID:
		return v.String()
	case []string, bool, float64, string, int64, uint64: // int64 and uint64 become boxed integers
		return v
	case []uint8:
		numbers := make([]any, len(v))
		for i := range v {
			numbers[i] = float64(v[i])
		}
		return numbers
	case []matcher.ID:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = v[i].String()
		}
		return texts
	}
	return v
}
