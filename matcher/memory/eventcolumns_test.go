package memory

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
)

// TestColumnsOfEvents checks that every column of events selects the rows that have a
// value, and that reading the column returns that value.
func TestColumnsOfEvents(t *testing.T) {
	p := newOriginsPair(t, 7)
	for range 12 {
		p.step(t)
	}
	selection, err := p.Select(t.Context(), &matcher.Candidates{Origin: matcher.Events}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := selection.(*Selection)
	filled := 0
	for name := range columns[matcher.Events] {
		read, err := s.Reader(name)
		if err != nil {
			t.Fatal(err)
		}
		values, rows := map[any]int{}, 0
		for row := range s.Rows() {
			x := s.Object(row)
			var got [1]any
			read(row, got[:])
			if want := memorytest.FieldOf(&x, name); !reflect.DeepEqual(got[0], want) {
				t.Fatalf("%s: %v, want %v", name, got[0], want)
			}
			rows++
			list, ok := got[0].([]uint8)
			if !ok {
				values[got[0]]++
				continue
			}
			slices.Sort(list)
			for _, n := range slices.Compact(list) { // a row counts once for each of its numbers
				values[n]++
			}
		}
		if values[nil] == rows { // a field that the events of this test do not have
			continue
		}
		if filled++; len(values) < 2 {
			t.Fatalf("%s: %d values of %d rows", name, len(values), rows)
		}
		for value, n := range values {
			switch v := value.(type) {
			case nil:
				continue
			case matcher.Time:
				value = v.String()
			case uint8:
				value = float64(v)
			case matcher.ID:
				value = v.String()
			}
			if found, err := s.Where(name, "=", value); err != nil || found.Len() != n {
				t.Errorf("%s = %v: %d rows, want %d: %v", name, value, found.Len(), n, err)
			}
			if found, err := s.Where(name, "!=", value); err != nil || found.Len() != rows-values[nil]-n {
				t.Errorf("%s != %v: %d rows, want %d: %v", name, value, found.Len(), rows-values[nil]-n, err)
			}
			if found, err := s.OneOf(name, []any{value, value}); err != nil || found.Len() != n {
				t.Errorf("%s is one of %v: %d rows, want %d: %v", name, value, found.Len(), n, err)
			}
			if text, ok := value.(string); ok && name != "create_time" {
				less := 0
				for other, count := range values {
					if id, isID := other.(matcher.ID); isID {
						other = id.String()
					}
					if s, ok := other.(string); ok && s < text {
						less += count
					}
				}
				if found, err := s.Where(name, "<", value); err != nil || found.Len() != less {
					t.Errorf("%s < %v: %d rows, want %d: %v", name, value, found.Len(), less, err)
				}
			}
		}
	}
	if filled < 26 {
		t.Errorf("only %d columns have values", filled)
	}
	for _, name := range []string{"lists", "tags", "meta", "height"} {
		if _, err := s.Where(name, "=", "x"); err == nil || !strings.Contains(err.Error(), "is not one of the columns account_id, age,") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
