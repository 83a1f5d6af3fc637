package ns

import (
	"fmt"
	"slices"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
)

// An idSet is the value of ns.idset: ids that were parsed once. It is immutable.
type idSet struct {
	ids  []matcher.ID // sorted, without duplicates
	text []any        // the same ids as text, for columns
}

// idBytes is the memory of one id in an idSet, in bytes.
const idBytes = 16 + 16 + 16 + 48

// Bytes implements [vm.Sized].
func (s *idSet) Bytes() int { return len(s.ids) * idBytes }

var idSetFunction = vm.Function{
	Name: "idset", Params: []string{"ids: string[]"}, Returns: []string{"IdSet"},
	Doc: "Prepares a list of ids for ids, exclude, in_lists and one_of of sets, so that they do not parse it at each call. Duplicates count once.",
	Run: func(c *vm.Call) error {
		list := c.List(1)
		c.Charge(8 * len(list))
		c.Allocate(idBytes * len(list))
		ids, err := idsOf(list)
		if err != nil {
			return err
		}
		slices.SortFunc(ids, matcher.ID.Compare)
		s := &idSet{ids: slices.Compact(ids)}
		s.text = make([]any, len(s.ids))
		for i, id := range s.ids {
			s.text[i] = id.String()
		}
		return c.Return(vm.Object{Class: idSetClass, Value: s})
	},
}

var idSetClass = &vm.Class{
	Name: "IdSet", Doc: "A prepared list of ids.",
	Methods: []vm.Function{
		{
			Name: "len", Returns: []string{"integer"}, Doc: "Returns the number of ids.",
			Run: func(c *vm.Call) error { return c.Return(len(c.Self().(*idSet).ids)) },
		},
		{
			Name: "has", Params: []string{"id: string"}, Returns: []string{"boolean"}, Doc: "Reports whether an id is in the set.",
			Run: func(c *vm.Call) error {
				id, err := matcher.ParseID(c.Text(1))
				if err != nil {
					return err
				}
				_, found := slices.BinarySearchFunc(c.Self().(*idSet).ids, id, matcher.ID.Compare)
				return c.Return(found)
			},
		},
	},
}

// idUnits is the number of ids for which an operation on a set charges one unit.
const idUnits = 4

// idSetArgument returns argument i if it is an IdSet, or else nil.
func idSetArgument(c *vm.Call, i int) *idSet {
	if !c.IsObject(i, idSetClass) {
		return nil
	}
	s := c.Object(i, idSetClass).(*idSet)
	c.Charge(len(s.ids) / idUnits)
	return s
}

// idsArgument returns argument i, a list of ids or an IdSet. The result must not be
// changed.
func idsArgument(c *vm.Call, i int) ([]matcher.ID, error) {
	if s := idSetArgument(c, i); s != nil {
		return s.ids, nil
	}
	return idsOf(c.List(i))
}

// valuesOf returns argument i, a list of values for a column or an IdSet. The result must
// not be changed.
func valuesOf(c *vm.Call, i int) ([]any, error) {
	if s := idSetArgument(c, i); s != nil {
		return s.text, nil
	}
	values := c.List(i)
	for n := range values {
		values[n] = columnValue(values[n])
	}
	return values, nil
}

// columnValue returns a script's value in the form in which columns have it. A boxed
// integer of up to 64 bits becomes an int64 or uint64.
func columnValue(v any) any {
	if text, ok := v.(vm.Integer); ok {
		if n, err := matcher.ParseNumber(string(text)); err == nil {
			return n.Any()
		}
	}
	return v
}

func idsOf(list []any) ([]matcher.ID, error) {
	ids := make([]matcher.ID, len(list))
	for i, value := range list {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("id %d must be a string, got %s", i+1, goval.Describe(value))
		}
		var err error
		if ids[i], err = matcher.ParseID(text); err != nil {
			return nil, fmt.Errorf("id %d: %w", i+1, err)
		}
	}
	return ids, nil
}
