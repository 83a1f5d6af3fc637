package memory

import (
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// smallNumbers has the predicates of a column whose rows have small numbers.
type smallNumbers struct {
	present filter.Predicate // passes rows with the field
	within  func(s *Selection, lo, hi uint8) filter.Predicate
	oneOf   func(s *Selection, values []uint8) filter.Predicate
}

// column returns a column with where and oneOf.
func (n smallNumbers) column() column {
	return column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			x, ok := value.(float64)
			if !ok {
				return filter.Nothing, fmt.Errorf("must be a number, got %v", value)
			}
			lo, hi, others, err := interval(op, x)
			if err != nil {
				return filter.Nothing, err
			}
			inside := filter.Nothing
			if lo, hi = max(lo, 0), min(hi, math.MaxUint8); lo <= hi {
				inside = n.within(s, uint8(lo), uint8(hi))
			}
			if others {
				return filter.Without(n.present, inside), nil
			}
			return inside, nil
		},
		oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
			var whole []uint8
			for _, value := range values {
				x, ok := value.(float64)
				if !ok {
					return filter.Nothing, fmt.Errorf("must be a number, got %v", value)
				}
				if x == math.Trunc(x) && x >= 0 && x <= math.MaxUint8 {
					whole = append(whole, uint8(x))
				}
			}
			return n.oneOf(s, whole), nil
		},
	}
}

// smallsColumn is the column of a field that has one small number or a list of them. A row
// passes a comparison if one of its numbers does. It passes != if it has the field and
// none of its numbers is equal.
func smallsColumn(field int) column {
	that := func(s *Selection, passes func(uint8) bool) filter.Predicate {
		return filter.SmallsThat(field, s.memory.tables.Lexicons.ForText(s.rows.Origin(), field), passes)
	}
	c := smallNumbers{
		present: filter.Within(func(c *table.Chunk) []uint32 { return c.Hashes[field] }, 1, math.MaxUint32),
		within: func(s *Selection, lo, hi uint8) filter.Predicate {
			return that(s, func(n uint8) bool { return lo <= n && n <= hi })
		},
		oneOf: func(s *Selection, values []uint8) filter.Predicate {
			return that(s, func(n uint8) bool { return slices.Contains(values, n) })
		},
	}.column()
	c.value = func(_ *table.Snapshot, v *table.View, i int) any {
		switch values, isList := matcher.Smalls(v.Text(i, field)).Values(); {
		case isList:
			return values
		case values != nil:
			return values[0]
		}
		return nil
	}
	return c
}
