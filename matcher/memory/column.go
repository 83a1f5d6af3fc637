package memory

import (
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
	"nearside/simd"
)

// column is a field as plugins see it. Rows without the field pass no test.
type column struct {
	// where makes the predicate of a comparison with one value.
	where func(s *Selection, op string, value any) (predicate, error)
	// oneOf makes the predicate of equality with any of values; nil: there is
	// no faster way than where for each.
	oneOf func(s *Selection, values []any) (predicate, error)
	// find keeps the rows that equal any of values by an index, which is asked
	// for = and != instead of where, and instead of oneOf; nil: there is none.
	// Every row of a column with find has the field.
	find func(s *Selection, values []any) (*Selection, error)
	// value returns nil, a uint8, string, [matcher.Time], [matcher.ID] or
	// []matcher.ID.
	value func(s *snapshot, v *view, i int) any
	// rank orders rows for Top; nil: the column has no order of numbers.
	rank func(v *view, i int) (rank int64, ok bool)
}

// compares reports whether a value that compares so (-1, 0, 1) with the given
// one passes op, and whether there is such an op.
func compares(op string, sign int) (pass, ok bool) {
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

// badOperator is the error of an op that compares does not know.
func badOperator(op string) error {
	return fmt.Errorf("%q is not one of = != < <= > >=", op)
}

// interval returns which whole numbers compare so with x: those of lo..hi, or
// all others.
func interval(op string, x float64) (lo, hi int64, others bool, err error) {
	const far = 1 << 62
	if math.IsNaN(x) {
		return 0, 0, false, fmt.Errorf("%v is no number", x)
	}
	x = min(max(x, -far), far)
	lo, hi = -far, far
	switch op {
	case "=", "==", "!=", "~=":
		lo, hi = int64(math.Ceil(x)), int64(math.Floor(x)) // none when x is not whole
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

// without makes the predicate of rows that pass p and fail but.
func without(p, but predicate) predicate {
	return predicate{
		one: func(v *view, i int) bool { return p.one(v, i) && !but.one(v, i) },
		all: func(k *simd.Kernel, v *view, words []uint64) {
			failed := slices.Clone(words)
			but.all(k, v, failed)
			p.all(k, v, words)
			for w := range words {
				words[w] &^= failed[w]
			}
		},
	}
}

func smallColumn(of func(*chunk) []matcher.Small) column {
	present := within(of, matcher.SmallOf(0), matcher.SmallOf(math.MaxUint8))
	return column{
		where: func(_ *Selection, op string, value any) (predicate, error) {
			x, ok := value.(float64)
			if !ok {
				return nothing, fmt.Errorf("%v is no number", value)
			}
			lo, hi, others, err := interval(op, x)
			if err != nil {
				return nothing, err
			}
			inside := nothing
			if lo, hi = max(lo, 0), min(hi, math.MaxUint8); lo <= hi {
				inside = within(of, matcher.SmallOf(uint8(lo)), matcher.SmallOf(uint8(hi)))
			}
			if others {
				return without(present, inside), nil
			}
			return inside, nil
		},
		oneOf: func(_ *Selection, values []any) (predicate, error) {
			var whole []uint8
			for _, value := range values {
				x, ok := value.(float64)
				if !ok {
					return nothing, fmt.Errorf("%v is no number", value)
				}
				if x == math.Trunc(x) && x >= 0 && x <= math.MaxUint8 {
					whole = append(whole, uint8(x))
				}
			}
			return smallOneOf(of, whole), nil
		},
		value: func(_ *snapshot, v *view, i int) any {
			if x, ok := of(v.chunk)[i].Get(); ok {
				return x
			}
			return nil
		},
		rank: func(v *view, i int) (int64, bool) {
			x, ok := of(v.chunk)[i].Get()
			return int64(x), ok
		},
	}
}

// timeColumn takes RFC 3339, now-<n><unit> and seconds since 1970.
func timeColumn(of func(*chunk) []matcher.Time) column {
	return column{
		where: func(s *Selection, op string, value any) (predicate, error) {
			var x float64
			switch value := value.(type) {
			case float64:
				x = value * 1000
			case string:
				t, err := matcher.ParseFilterTime(value, s.memory.options.Now())
				if err != nil {
					return nothing, err
				}
				x = float64(t)
			default:
				return nothing, fmt.Errorf("%v is no time", value)
			}
			lo, hi, others, err := interval(op, x)
			if err != nil {
				return nothing, err
			}
			inside := nothing
			if lo <= hi {
				from, to := matcher.Time(lo), matcher.Time(hi+1)
				inside = timeRange(matcher.Range[matcher.Time]{GTE: &from, LT: &to})
			}
			if others {
				return without(everything, inside), nil
			}
			return inside, nil
		},
		value: func(_ *snapshot, v *view, i int) any { return of(v.chunk)[i] },
		rank:  func(v *view, i int) (int64, bool) { return int64(of(v.chunk)[i]), true },
	}
}

// everything passes every row.
var everything = predicate{
	one: func(*view, int) bool { return true },
	all: func(*simd.Kernel, *view, []uint64) {},
}

// ownID is the column of the ID of the object itself.
var ownID = column{
	where: func(_ *Selection, op string, value any) (predicate, error) {
		pass, err := idTest(op, value)
		if err != nil {
			return nothing, err
		}
		return byRow(func(v *view, i int) bool { return pass(v.ids[i]) }), nil
	},
	find: func(s *Selection, values []any) (*Selection, error) {
		ids, err := idsOf(values)
		if err != nil {
			return nil, err
		}
		return s.ByID(ids), nil
	},
	value: func(_ *snapshot, v *view, i int) any { return v.ids[i] },
}

// idTest returns what says whether an ID, which may be absent, compares so
// with the value.
func idTest(op string, value any) (func(matcher.ID) bool, error) {
	id, err := idOf(value)
	if err != nil {
		return nil, err
	}
	if _, ok := compares(op, 0); !ok {
		return nil, badOperator(op)
	}
	return func(x matcher.ID) bool {
		pass, _ := compares(op, x.Compare(id))
		return pass && !x.IsZero()
	}, nil
}

// accountColumn is of ordinals, which the snapshot has the IDs of.
var accountColumn = column{
	where: func(s *Selection, op string, value any) (predicate, error) {
		pass, err := idTest(op, value)
		if err != nil {
			return nothing, err
		}
		return accountsThat(s.snap, pass), nil
	},
	oneOf: func(s *Selection, values []any) (predicate, error) {
		ids, err := idsOf(values)
		if err != nil {
			return nothing, err
		}
		set := make(map[matcher.ID]struct{}, len(ids))
		for _, id := range ids {
			set[id] = struct{}{}
		}
		return accountsThat(s.snap, func(id matcher.ID) bool { _, ok := set[id]; return ok }), nil
	},
	value: func(s *snapshot, v *view, i int) any {
		if a := v.accounts[i]; a != 0 {
			return s.accounts[a-1]
		}
		return nil
	},
}

// accountsThat passes the rows whose account passes.
func accountsThat(s *snapshot, pass func(matcher.ID) bool) predicate {
	passes := make([]bool, len(s.accounts)+1) // by what is in the column: 0 is none
	for ordinal, id := range s.accounts {
		passes[ordinal+1] = pass(id)
	}
	return byRow(func(v *view, i int) bool { return passes[v.accounts[i]] })
}

func idOf(value any) (matcher.ID, error) {
	s, ok := value.(string)
	if !ok {
		return matcher.ID{}, fmt.Errorf("%v is no UUID", value)
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
