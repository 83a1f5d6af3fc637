package memory

import (
	"fmt"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// smallsColumn is the column of a field that has one small number or a list of them. A row
// passes a comparison if one of its numbers does. It passes != if it has the field and
// none of its numbers is equal.
func smallsColumn(field int) column {
	that := func(s *Selection, passes func(uint8) bool) filter.Predicate {
		return filter.SmallsThat(field, s.memory.tables.Lexicons.ForText(s.rows.Origin(), field), passes)
	}
	present := filter.Within(func(c *table.Chunk) []uint32 { return c.Hashes[field] }, 1, math.MaxUint32)
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
			inside := that(s, func(n uint8) bool { return lo <= int64(n) && int64(n) <= hi })
			if others {
				return filter.Without(present, inside), nil
			}
			return inside, nil
		},
		oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
			var wanted [math.MaxUint8 + 1]bool
			for _, value := range values {
				x, ok := value.(float64)
				if !ok {
					return filter.Nothing, fmt.Errorf("must be a number, got %v", value)
				}
				if x == math.Trunc(x) && x >= 0 && x <= math.MaxUint8 {
					wanted[uint8(x)] = true
				}
			}
			return that(s, func(n uint8) bool { return wanted[n] }), nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			switch values, isList := matcher.Smalls(v.Text(i, field)).Values(); {
			case isList:
				return values
			case values != nil:
				return values[0]
			}
			return nil
		},
	}
}
