package memory

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
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
	for name := range columns[matcher.Events] { // TestMetaColumns checks the others
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
			switch list := got[0].(type) { // a row counts once for each of its values
			case []uint8:
				slices.Sort(list)
				for _, n := range slices.Compact(list) {
					values[n]++
				}
			case []string:
				slices.Sort(list)
				for _, text := range slices.Compact(list) {
					values[text]++
				}
			default:
				values[got[0]]++
			}
		}
		if values[nil] == rows { // a field that the events of this test do not have
			continue
		}
		if filled++; len(values) < 2 {
			t.Fatalf("%s: %d values of %d rows", name, len(values), rows)
		}
		isList := slices.Contains([]string{"sleeve_length", "backpack_state"}, name)
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
			if name == "tags" {
				continue
			}
			if x, ok := value.(float64); ok {
				less, equal := 0, 0
				for other, count := range values {
					if y, ok := asNumber(other); ok && y < x {
						less += count
					} else if ok && y == x {
						equal += count
					}
				}
				for op, want := range map[string]int{"<": less, "<=": less + equal, ">": rows - values[nil] - less - equal, ">=": rows - values[nil] - less} {
					if found, err := s.Where(name, op, x); !isList && (err != nil || found.Len() != want) {
						t.Errorf("%s %s %v: %d rows, want %d: %v", name, op, x, found.Len(), want, err)
					}
				}
			}
			if text, ok := value.(string); ok && name != "create_time" && name != "end_time" {
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
	if filled < 31 {
		t.Errorf("only %d columns have values", filled)
	}
	for _, name := range []string{"lists", "meta", "meta.shop", "height"} {
		if _, err := s.Where(name, "=", "x"); err == nil || !strings.Contains(err.Error(), "is not one of the columns account_id, age,") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// asNumber returns a value of a column as a number.
func asNumber(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case uint8:
		return float64(v), true
	}
	return 0, false
}

// TestEndTimes compares the column end_time with the objects, for each operator.
func TestEndTimes(t *testing.T) {
	p := newOriginsPair(t, 11)
	for range 12 {
		p.step(t)
	}
	s := testkit.Must(p.Select(t.Context(), &matcher.Candidates{Origin: matcher.Events}, nil)).(*Selection)
	ends := 0
	for _, seconds := range []float64{-6, -5, 0, 0.001, 7, 7.0005, 14} {
		for op, holds := range comparisons {
			want := 0
			for r := range s.Rows() {
				if x := s.Object(r); x.Event.EndTime != nil && holds(big.NewFloat(float64(*x.Event.EndTime)).Cmp(big.NewFloat(seconds*1000))) {
					want++
				}
			}
			if found, err := s.Where("end_time", op, seconds); err != nil || found.Len() != want {
				t.Errorf("end_time %s %v: %d rows, want %d: %v", op, seconds, found.Len(), want, err)
			}
			ends += want
		}
	}
	if top := testkit.Must(s.Top("end_time", 1<<30)); top.Len() == s.Len() || top.Len() == 0 || ends == 0 {
		t.Errorf("%d of %d events have an end", top.Len(), s.Len())
	}
}

// comparisons are the operators, as functions of the sign of the comparison.
var comparisons = map[string]func(sign int) bool{
	"=": func(s int) bool { return s == 0 }, "!=": func(s int) bool { return s != 0 },
	"<": func(s int) bool { return s < 0 }, "<=": func(s int) bool { return s <= 0 },
	">": func(s int) bool { return s > 0 }, ">=": func(s int) bool { return s >= 0 },
}

// metaAt returns the value of meta at a path as a *big.Float, string or bool, or nil.
func metaAt(meta, path string) any {
	var root any
	decoder := json.NewDecoder(strings.NewReader(meta))
	decoder.UseNumber()
	if decoder.Decode(&root) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		object, _ := root.(map[string]any)
		root = object[name]
	}
	if n, ok := root.(json.Number); ok {
		f, _, err := big.ParseFloat(string(n), 10, 2000, big.ToNearestEven)
		testkit.Must(f, err)
		if strings.ContainsAny(string(n), ".e") { // as documented: other numbers than integers are float64
			short, _ := f.Float64()
			f = big.NewFloat(short)
		}
		return f
	}
	return root
}

// compareMeta compares a value of metaAt with a value of a script. ok is false if their types
// differ.
func compareMeta(have, want any) (sign int, ok bool) {
	switch have := have.(type) {
	case *big.Float:
		switch want := want.(type) {
		case float64:
			return have.Cmp(big.NewFloat(want)), true
		case int64:
			return have.Cmp(new(big.Float).SetInt64(want)), true
		case uint64:
			return have.Cmp(new(big.Float).SetUint64(want)), true
		}
	case string:
		text, ok := want.(string)
		return strings.Compare(have, text), ok
	case bool:
		truth, ok := want.(bool)
		if have == truth {
			return 0, ok
		}
		return 1, ok
	}
	return 0, false
}

// TestMetaColumns compares the columns of declared fields of meta with the meta of the
// objects, for each operator and also for integers beyond 2^53.
func TestMetaColumns(t *testing.T) {
	p := newOriginsPair(t, 7)
	for range 12 {
		p.step(t)
	}
	s := testkit.Must(p.Select(t.Context(), &matcher.Candidates{Origin: matcher.Events}, nil)).(*Selection)
	values := map[string][]any{
		"shop.floor": {3.0, -0.5, 1e300, 3.0000000001, 9007199254740992.0, int64(9007199254740993), int64(-9007199254740993), uint64(18446744073709551615), int64(-9223372036854775807), uint64(9223372036854775808)},
		"name":       {"n1", "n2", "", "é", "none"},
		"a.vip":      {true, false},
	}
	for path, wanted := range values {
		name, matched := "meta."+path, 0
		for _, value := range wanted {
			for op, holds := range comparisons {
				found, err := s.Where(name, op, value)
				if _, isBool := value.(bool); isBool && op != "=" && op != "!=" {
					if err == nil || !strings.Contains(err.Error(), "must be compared with = or !=") {
						t.Errorf("%s %s %v: %v", name, op, value, err)
					}
					continue
				}
				checkMeta(t, fmt.Sprint(name, op, value), s, found, err, path, func(have any) bool {
					sign, ok := compareMeta(have, value)
					return ok && holds(sign)
				})
				matched += found.Len()
			}
		}
		found, err := s.OneOf(name, wanted)
		checkMeta(t, name+" one of", s, found, err, path, func(have any) bool {
			return slices.ContainsFunc(wanted, func(value any) bool { sign, ok := compareMeta(have, value); return ok && sign == 0 })
		})
		if matched == 0 {
			t.Errorf("%s: no row matched", name)
		}
		read := testkit.Must(s.Reader(name))
		for r := range s.Rows() {
			var got [1]any
			read(r, got[:])
			x := s.Object(r)
			have := metaAt(x.Event.Meta, path)
			present := fmt.Sprintf("%T", have) == map[string]string{"shop.floor": "*big.Float", "name": "string", "a.vip": "bool"}[path]
			if sign, ok := compareMeta(have, got[0]); (got[0] != nil) != present || present && (!ok || sign != 0) {
				t.Fatalf("%s of %s is read as %v", name, x.Event.Meta, got[0])
			}
		}
	}
	for name, value := range map[string]any{"meta.name": 3.0, "meta.shop.floor": "3", "meta.a.vip": 1.0} {
		if _, err := s.Where(name, "=", value); err == nil || !strings.Contains(err.Error(), name+": must be a ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkMeta checks that found has exactly the rows of s whose value at path passes.
func checkMeta(t *testing.T, what string, s, found *Selection, err error, path string, passes func(have any) bool) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	rows := map[matcher.ID]bool{}
	for r := range found.Rows() {
		x := found.Object(r)
		rows[x.ID] = true
	}
	for r := range s.Rows() {
		if x := s.Object(r); rows[x.ID] != passes(metaAt(x.Event.Meta, path)) {
			t.Errorf("%s: %s is found: %v", what, x.Event.Meta, rows[x.ID])
		}
	}
}
