package memory

import (
	"errors"
	"fmt"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// metaColumn is the column of a declared field of meta. index is its place among the
// declared fields.
func metaColumn(index int, f matcher.MetaField) column {
	c := column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			return s.whereMeta(index, f, op, value)
		},
		oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
			wanted, err := metaValues(f.Type, values)
			if err != nil {
				return filter.Nothing, err
			}
			return filter.Meta(s.memory.tables, &matcher.MetaFilter{Field: f, Op: matcher.MetaIn, Values: wanted}), nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			return metaValueOf(f.Type, table.ValueAt(table.ParseMeta(string(v.Meta(i))), f.Path))
		},
	}
	if f.Type == matcher.MetaNumber {
		c.rank = func(v *table.View, i int) (int64, bool) {
			n := v.Events.Meta[index].Numbers[i]
			return int64(n), n != table.NoNumber
		}
	}
	return c
}

// metaValueOf returns a value of meta, or nil if it is not of the type.
func metaValueOf(t matcher.MetaType, value any) any {
	switch t {
	case matcher.MetaNumber:
		if n, ok := table.MetaNumberOf(value); ok {
			return n.Any()
		}
	case matcher.MetaString:
		if s, ok := value.(string); ok {
			return s
		}
	case matcher.MetaBoolean:
		if b, ok := value.(bool); ok {
			return b
		}
	}
	return nil
}

// whereMeta returns the predicate for comparing a declared field with one value. Filters
// have the comparisons =, >= and <, of which the others are made.
func (s *Selection) whereMeta(index int, f matcher.MetaField, op string, value any) (filter.Predicate, error) {
	wanted, err := metaValues(f.Type, []any{value})
	if err != nil {
		return filter.Nothing, err
	}
	that := func(op matcher.MetaOp) filter.Predicate {
		return filter.Meta(s.memory.tables, &matcher.MetaFilter{Field: f, Op: op, Values: wanted})
	}
	present := metaPresent(index, f.Type)
	switch op {
	case "=", "==":
		return that(matcher.MetaEQ), nil
	case "!=", "~=":
		return filter.Without(present, that(matcher.MetaEQ)), nil
	}
	if f.Type == matcher.MetaBoolean {
		return filter.Nothing, fmt.Errorf("must be compared with = or !=, got %q", op)
	}
	switch op {
	case "<":
		return that(matcher.MetaLT), nil
	case ">=":
		return that(matcher.MetaGTE), nil
	case ">":
		return filter.Without(that(matcher.MetaGTE), that(matcher.MetaEQ)), nil
	case "<=":
		return filter.Without(present, filter.Without(that(matcher.MetaGTE), that(matcher.MetaEQ))), nil
	}
	return filter.Nothing, badOperator(op)
}

// metaPresent returns a predicate that passes rows with a value of the type.
func metaPresent(index int, t matcher.MetaType) filter.Predicate {
	switch t {
	case matcher.MetaNumber:
		return filter.Within(func(c *table.Chunk) []table.Number { return c.Events.Meta[index].Numbers }, table.NoNumber+1, math.MaxInt64)
	case matcher.MetaString:
		return filter.Within(func(c *table.Chunk) []uint32 { return c.Events.Meta[index].Hashes }, 1, math.MaxUint32)
	default:
		return filter.Within(func(c *table.Chunk) []matcher.Small { return c.Events.Meta[index].Flags }, matcher.SmallOf(0), matcher.SmallOf(1))
	}
}

// metaValues converts the values with which a field is compared.
func metaValues(t matcher.MetaType, values []any) ([]matcher.MetaValue, error) {
	wanted := make([]matcher.MetaValue, len(values))
	for i, value := range values {
		var err error
		switch v := value.(type) {
		case float64:
			wanted[i].Number = matcher.Number{Float: v}
			if math.IsNaN(v) {
				err = errors.New("must not be NaN")
			}
		case int64:
			wanted[i].Number = matcher.IntNumber(v)
		case uint64:
			wanted[i].Number = matcher.UintNumber(v)
		case string:
			wanted[i].Text = v
		case bool:
			if v {
				wanted[i].Number.Float = 1
			}
		}
		if got := metaTypeOf(value); got != t.String() {
			err = fmt.Errorf("must be a %s, got %v", t, value)
		}
		if err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// metaTypeOf returns the name of the type of meta that a value has.
func metaTypeOf(value any) string {
	switch value.(type) {
	case float64, int64, uint64:
		return matcher.MetaNumber.String()
	case string:
		return matcher.MetaString.String()
	case bool:
		return matcher.MetaBoolean.String()
	}
	return ""
}
