package memory

import (
	"cmp"
	"fmt"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// idColumn is the column of an ID that is stored among the texts of the record.
func idColumn(field int) column {
	of := func(v *table.View, i int) matcher.ID { return table.IDOfText(v.Text(i, field)) }
	return column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			pass, err := idTest(op, value)
			if err != nil {
				return filter.Nothing, err
			}
			id, _ := idOf(value)
			if p, ok := s.compareText(field, op, table.IDText(id)); ok {
				return p, nil
			}
			return filter.ByRow(func(v *table.View, i int) bool { return pass(of(v, i)) }), nil
		},
		oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
			ids, err := idsOf(values)
			if err != nil {
				return filter.Nothing, err
			}
			return s.textIn(field, filter.IDTexts(ids)), nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			if id := of(v, i); !id.IsZero() {
				return id
			}
			return nil
		},
	}
}

// textColumn is the column of a text of the record. If the text has a column of hashes,
// comparisons for equality use it.
func textColumn(field int) column {
	return column{
		where: func(s *Selection, op string, value any) (filter.Predicate, error) {
			want, ok := value.(string)
			if !ok {
				return filter.Nothing, fmt.Errorf("must be a string, got %v", value)
			}
			if _, ok := satisfies(op, 0); !ok {
				return filter.Nothing, badOperator(op)
			}
			if p, ok := s.compareText(field, op, want); ok {
				return p, nil
			}
			return filter.ByRow(func(v *table.View, i int) bool {
				x := v.Text(i, field)
				pass, _ := satisfies(op, cmp.Compare(string(x), want))
				return pass && len(x) > 0
			}), nil
		},
		oneOf: func(s *Selection, values []any) (filter.Predicate, error) {
			texts, err := textsOf(values)
			if err != nil {
				return filter.Nothing, err
			}
			return s.textIn(field, texts), nil
		},
		value: func(_ *table.Snapshot, v *table.View, i int) any {
			if x := v.Text(i, field); len(x) > 0 {
				return string(x)
			}
			return nil
		},
	}
}

// hasHashes reports whether a text of the record has a column of hashes.
func (s *Selection) hasHashes(field int) bool {
	return field < s.memory.tables.Layouts[s.rows.Origin()].Hashes
}

// textIn returns a predicate that passes rows whose text is one of want.
func (s *Selection) textIn(field int, want []string) filter.Predicate {
	if s.hasHashes(field) {
		return filter.TextIn(field, want, s.memory.tables.Lexicons.ForText(s.rows.Origin(), field))
	}
	set := make(map[string]struct{}, len(want))
	for _, text := range want {
		set[text] = struct{}{}
	}
	delete(set, "") // the empty text means absent
	return filter.ByRow(func(v *table.View, i int) bool { _, ok := set[string(v.Text(i, field))]; return ok })
}

// compareText returns the predicate of a comparison if the hashes of a text can answer
// it, and otherwise false. An ordering such as < needs a complete list of the texts,
// which exists only for some columns of events.
func (s *Selection) compareText(field int, op, want string) (p filter.Predicate, ok bool) {
	if !s.hasHashes(field) {
		return filter.Nothing, false
	}
	column := func(c *table.Chunk) []uint32 { return c.Hashes[field] }
	switch op {
	case "=", "==":
		return s.textIn(field, []string{want}), true
	case "!=", "~=":
		return filter.Without(filter.Within(column, 1, math.MaxUint32), s.textIn(field, []string{want})), true
	}
	lex := s.memory.tables.Lexicons.ForText(s.rows.Origin(), field)
	texts, ok := lex.All()
	if !ok {
		return filter.Nothing, false
	}
	var hashes []uint32
	for hash, text := range texts {
		if pass, _ := satisfies(op, cmp.Compare(text, want)); pass {
			hashes = append(hashes, hash)
		}
	}
	return filter.Hashed(column, hashes, nil), true
}
