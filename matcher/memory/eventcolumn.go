package memory

import (
	"fmt"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// eventColumns are the columns of events whose fields are not plain, except meta.
var eventColumns = map[string]column{
	"end_time":                        endColumn,
	"tags":                            tagsColumn,
	"location.geo_position.longitude": numberColumn(func(c *table.Chunk) []table.Number { return c.Events.Longitude }),
	"location.geo_position.latitude":  numberColumn(func(c *table.Chunk) []table.Number { return c.Events.Latitude }),
	"top_match.similarity":            numberColumn(func(c *table.Chunk) []table.Number { return c.Events.Similarity }),
}

// endColumn is the column of the end time, which an event may lack.
var endColumn = func() column {
	of := func(c *table.Chunk) []matcher.Time { return c.Events.End }
	return column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			lo, hi, others, err := s.timeInterval(op, value)
			if err != nil {
				return filter.Nothing, err
			}
			inside := filter.Nothing
			if lo <= hi {
				inside = filter.Within(of, lo, hi)
			}
			if others {
				return filter.Without(filter.Within(of, table.NoTime+1, math.MaxInt64), inside), nil
			}
			return inside, nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			if t := of(v.Chunk)[i]; t != table.NoTime {
				return t
			}
			return nil
		},
		rank: func(v *table.View, i int) (int64, bool) { t := of(v.Chunk)[i]; return int64(t), t != table.NoTime },
	}
}()

// tagsColumn is the column of the tags of an event. = keeps the events with a tag, and !=
// keeps the others.
var tagsColumn = column{
	where: func(_ *Selection, op string, value any) (filter.Predicate, error) {
		tags, err := textsOf([]any{value})
		if err != nil {
			return filter.Nothing, err
		}
		switch op {
		case "=", "==":
			return filter.Tagged(tags), nil
		case "!=", "~=":
			return filter.Without(filter.Everything, filter.Tagged(tags)), nil
		}
		return filter.Nothing, fmt.Errorf("must be compared with = or !=, got %q", op)
	},
	oneOf: func(_ *Selection, values []any) (filter.Predicate, error) {
		tags, err := textsOf(values)
		if err != nil {
			return filter.Nothing, err
		}
		return filter.Tagged(tags), nil
	},
	value: func(_ *table.Snapshot, v *table.View, i int) any {
		tags := []string{}
		for tag := range v.Layout.TagsIn(v.RecordFrom(i)) {
			tags = append(tags, string(tag))
		}
		return tags
	},
}

func textsOf(values []any) ([]string, error) {
	texts := make([]string, len(values))
	for i, value := range values {
		var ok bool
		if texts[i], ok = value.(string); !ok {
			return nil, fmt.Errorf("must be a string, got %v", value)
		}
	}
	return texts, nil
}

// numberColumn is the column of a number that an event may lack.
func numberColumn(of func(*table.Chunk) []table.Number) column {
	return column{
		where: func(_ *Selection, op string, value any) (filter.Predicate, error) {
			x, ok := value.(float64)
			if !ok || math.IsNaN(x) {
				return filter.Nothing, fmt.Errorf("must be a number, got %v", value)
			}
			const first, last = table.NoNumber + 1, table.Number(math.MaxInt64)
			switch n := table.NumberOf(x); op {
			case "=", "==":
				return filter.Within(of, n, n), nil
			case "!=", "~=":
				return filter.Without(filter.Within(of, first, last), filter.Within(of, n, n)), nil
			case "<":
				return filter.Within(of, first, n-1), nil
			case "<=":
				return filter.Within(of, first, n), nil
			case ">":
				return filter.Within(of, n+1, last), nil
			case ">=":
				return filter.Within(of, n, last), nil
			}
			return filter.Nothing, badOperator(op)
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			if n := of(v.Chunk)[i]; n != table.NoNumber {
				return n.Float()
			}
			return nil
		},
		rank: func(v *table.View, i int) (int64, bool) { n := of(v.Chunk)[i]; return int64(n), n != table.NoNumber },
	}
}
