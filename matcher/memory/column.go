package memory

import (
	"fmt"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// column is a field as plugins see it. A row without the field passes no test.
type column struct {
	// where returns the predicate for comparing the column with one value.
	where func(s *Selection, op string, value any) (filter.Predicate, error)
	// oneOf returns the predicate for equality with any of values. It is nil if that is not
	// faster than using where for each value.
	oneOf func(s *Selection, values []any) (filter.Predicate, error)
	// find keeps the rows that equal any of values, using an index. It replaces where for
	// = and !=, and it replaces oneOf. It is nil if there is no index. In a column with
	// find, every row must have the field.
	find func(s *Selection, values []any) (*Selection, error)
	// value returns nil or a value of a type that Selection.Reader lists.
	value func(s *table.Snapshot, v *table.View, i int) any
	// rank orders rows for Top. It is nil if the column has no numeric order.
	rank func(v *table.View, i int) (rank int64, ok bool)
}

// satisfies reports whether a value passes op. sign is -1, 0 or 1, from comparing the
// value with the operand. ok is false if op is unknown.
func satisfies(op string, sign int) (pass, ok bool) {
	switch op {
	case "=", "==":
		return sign == 0, true
	case "!=", "~=":
		return sign != 0, true
	case "<":
		return sign < 0, true
	case "<=":
		return sign <= 0, true
	case ">":
		return sign > 0, true
	case ">=":
		return sign >= 0, true
	}
	return false, false
}

// badOperator returns the error for an unknown op.
func badOperator(op string) error {
	return fmt.Errorf("%q is not one of = != < <= > >=", op)
}

// interval returns the integers that pass "op x": those in lo..hi, or all except those if
// others is true.
func interval(op string, x float64) (lo, hi int64, others bool, err error) {
	const far = 1 << 62
	if math.IsNaN(x) {
		return 0, 0, false, fmt.Errorf("must be a number, got %v", x)
	}
	x = min(max(x, -far), far)
	lo, hi = -far, far
	switch op {
	case "=", "==", "!=", "~=":
		lo, hi = int64(math.Ceil(x)), int64(math.Floor(x)) // empty if x is not an integer
		others = op[0] != '='
	case "<":
		hi = int64(math.Ceil(x)) - 1
	case "<=":
		hi = int64(math.Floor(x))
	case ">":
		lo = int64(math.Floor(x)) + 1
	case ">=":
		lo = int64(math.Ceil(x))
	default:
		err = badOperator(op)
	}
	return lo, hi, others, err
}

// smallColumn is the column of a small number.
func smallColumn(of func(*table.Chunk) []matcher.Small) column {
	c := smallNumbers{
		present: filter.Within(of, matcher.SmallOf(0), matcher.SmallOf(math.MaxUint8)),
		within: func(_ *Selection, lo, hi uint8) filter.Predicate {
			return filter.Within(of, matcher.SmallOf(lo), matcher.SmallOf(hi))
		},
		oneOf: func(_ *Selection, values []uint8) filter.Predicate { return filter.SmallOneOf(of, values) },
	}.column()
	c.value = func(_ *table.Snapshot, v *table.View, i int) any {
		if x, ok := of(v.Chunk)[i].Get(); ok {
			return x
		}
		return nil
	}
	c.rank = func(v *table.View, i int) (int64, bool) {
		x, ok := of(v.Chunk)[i].Get()
		return int64(x), ok
	}
	return c
}

// timeColumn is the column of a time. Values to compare with are RFC 3339 times,
// now-<n><unit> or seconds since 1970.
func timeColumn(of func(*table.Chunk) []matcher.Time) column {
	return column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			lo, hi, others, err := s.timeInterval(op, value)
			if err != nil {
				return filter.Nothing, err
			}
			inside := filter.Nothing
			if lo <= hi {
				from, to := lo, hi+1
				inside = filter.TimeRange(matcher.Range[matcher.Time]{GTE: &from, LT: &to})
			}
			if others {
				return filter.Without(filter.Everything, inside), nil
			}
			return inside, nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any { return of(v.Chunk)[i] },
		rank:  func(v *table.View, i int) (int64, bool) { return int64(of(v.Chunk)[i]), true },
	}
}

// timeInterval returns the times that pass "op value": those in lo..hi, or all except those
// if others is true.
func (s *Selection) timeInterval(op string, value any) (lo, hi matcher.Time, others bool, err error) {
	var x float64
	switch value := value.(type) {
	case float64:
		x = value * 1000
	case string:
		t, err := matcher.ParseFilterTime(value, s.memory.options.Now())
		if err != nil {
			return 0, 0, false, err
		}
		x = float64(t)
	default:
		return 0, 0, false, fmt.Errorf("must be a time, got %v", value)
	}
	from, to, others, err := interval(op, x)
	return matcher.Time(from), matcher.Time(to), others, err
}

// ownID is the column of the object's own ID.
var ownID = column{
	where: func(_ *Selection, op string, value any) (filter.Predicate, error) {
		pass, err := idTest(op, value)
		if err != nil {
			return filter.Nothing, err
		}
		return filter.ByRow(func(v *table.View, i int) bool { return pass(v.IDs[i]) }), nil
	},
	find: func(s *Selection, values []any) (*Selection, error) {
		ids, err := idsOf(values)
		if err != nil {
			return nil, err
		}
		return s.ByID(ids), nil
	},
	value: func(_ *table.Snapshot, v *table.View, i int) any { return v.IDs[i] },
}

// idTest returns a function that reports whether an ID passes "op value". An absent ID
// never passes.
func idTest(op string, value any) (func(matcher.ID) bool, error) {
	id, err := idOf(value)
	if err != nil {
		return nil, err
	}
	if _, ok := satisfies(op, 0); !ok {
		return nil, badOperator(op)
	}
	return func(x matcher.ID) bool {
		pass, _ := satisfies(op, x.Compare(id))
		return pass && !x.IsZero()
	}, nil
}

// accountColumn stores ordinals. The snapshot has their IDs.
var accountColumn = column{
	where: func(s *Selection, op string, value any) (filter.Predicate, error) {
		pass, err := idTest(op, value)
		if err != nil {
			return filter.Nothing, err
		}
		return accountsThat(s.rows.Snapshot(), pass), nil
	},
	oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
		ids, err := idsOf(values)
		if err != nil {
			return filter.Nothing, err
		}
		set := make(map[matcher.ID]struct{}, len(ids))
		for _, id := range ids {
			set[id] = struct{}{}
		}
		return accountsThat(s.rows.Snapshot(), func(id matcher.ID) bool { _, ok := set[id]; return ok }), nil
	},
	value: func(s *table.Snapshot, v *table.View, i int) any {
		if a := v.Accounts[i]; a != 0 {
			return s.Accounts[a-1]
		}
		return nil
	},
}

// accountsThat returns a predicate that passes rows whose account satisfies pass.
func accountsThat(s *table.Snapshot, pass func(matcher.ID) bool) filter.Predicate {
	passes := make([]bool, len(s.Accounts)+1) // by value of the column; 0 is no account
	for ordinal, id := range s.Accounts {
		passes[ordinal+1] = pass(id)
	}
	return filter.ByRow(func(v *table.View, i int) bool { return passes[v.Accounts[i]] })
}

func idOf(value any) (matcher.ID, error) {
	s, ok := value.(string)
	if !ok {
		return matcher.ID{}, fmt.Errorf("must be a UUID, got %v", value)
	}
	return matcher.ParseID(s)
}

func idsOf(values []any) ([]matcher.ID, error) {
	ids := make([]matcher.ID, len(values))
	for i, value := range values {
		var err error
		if ids[i], err = idOf(value); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
