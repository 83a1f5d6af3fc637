package memory

import (
	"cmp"
	"fmt"
	"math"

	"nearside/matcher"
)

// idField is the column of an ID among the texts of the record.
func idField(field int) column {
	of := func(v *view, i int) matcher.ID { return idOfText(v.text(i, field)) }
	return column{
		where: func(s *Selection, op string, value any) (predicate, error) {
			pass, err := idTest(op, value)
			if err != nil {
				return nothing, err
			}
			id, _ := idOf(value)
			if p, ok := s.compareText(field, op, idText(id)); ok {
				return p, nil
			}
			return byRow(func(v *view, i int) bool { return pass(of(v, i)) }), nil
		},
		oneOf: func(s *Selection, values []any) (predicate, error) {
			ids, err := idsOf(values)
			if err != nil {
				return nothing, err
			}
			return s.textIn(field, idTexts(ids)), nil
		},
		value: func(_ *snapshot, v *view, i int) any {
			if id := of(v, i); !id.IsZero() {
				return id
			}
			return nil
		},
	}
}

// textField is the column of a text of the record. Texts with a column of
// hashes are found by that, where they are compared for equality.
func textField(field int) column {
	return column{
		where: func(s *Selection, op string, value any) (predicate, error) {
			want, ok := value.(string)
			if !ok {
				return nothing, fmt.Errorf("%v is no string", value)
			}
			if _, ok := compares(op, 0); !ok {
				return nothing, badOperator(op)
			}
			if p, ok := s.compareText(field, op, want); ok {
				return p, nil
			}
			return byRow(func(v *view, i int) bool {
				x := v.text(i, field)
				pass, _ := compares(op, cmp.Compare(string(x), want))
				return pass && len(x) > 0
			}), nil
		},
		oneOf: func(s *Selection, values []any) (predicate, error) {
			texts := make([]string, len(values))
			for i, value := range values {
				var ok bool
				if texts[i], ok = value.(string); !ok {
					return nothing, fmt.Errorf("%v is no string", value)
				}
			}
			return s.textIn(field, texts), nil
		},
		value: func(_ *snapshot, v *view, i int) any {
			if x := v.text(i, field); len(x) > 0 {
				return string(x)
			}
			return nil
		},
	}
}

// hashed reports whether a text of the record has a column of hashes.
func (s *Selection) hashed(field int) bool {
	return field < s.memory.layouts[s.origin].hashes
}

// textIn passes the rows whose text is one of want.
func (s *Selection) textIn(field int, want []string) predicate {
	if s.hashed(field) {
		return textIn(field, want, s.memory.lexicons.of(s.origin, field))
	}
	set := make(map[string]struct{}, len(want))
	for _, text := range want {
		set[text] = struct{}{}
	}
	delete(set, "") // absent
	return byRow(func(v *view, i int) bool { _, ok := set[string(v.text(i, field))]; return ok })
}

// compareText is the predicate of a comparison that the hashes of a text can
// answer; ok is false when they cannot: < and the like need every text that
// there is, which is known of some columns of events.
func (s *Selection) compareText(field int, op, want string) (p predicate, ok bool) {
	if !s.hashed(field) {
		return nothing, false
	}
	column := func(c *chunk) []uint32 { return c.hashes[field] }
	switch op {
	case "=", "==":
		return s.textIn(field, []string{want}), true
	case "!=", "~=":
		return without(within(column, 1, math.MaxUint32), s.textIn(field, []string{want})), true
	}
	lex := s.memory.lexicons.of(s.origin, field)
	if lex == nil {
		return nothing, false
	}
	texts, ok := lex.all()
	if !ok {
		return nothing, false
	}
	var hashes []uint32
	for hash, text := range texts {
		if pass, _ := compares(op, cmp.Compare(text, want)); pass {
			hashes = append(hashes, hash)
		}
	}
	return hashed(column, hashes, nil), true
}
