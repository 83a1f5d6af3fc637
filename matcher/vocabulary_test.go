package matcher_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
)

// TestOrders: every order is total, ties go by ascending ID.
func TestOrders(t *testing.T) {
	id := func(n byte) matcher.ID { return matcher.ID{0: n} }
	rows := []matcher.Match{
		{ID: id(4), CreateTime: 1, Distance: 2},
		{ID: id(3), CreateTime: 2, Distance: 2},
		{ID: id(2), CreateTime: 2, Distance: 1},
		{ID: id(1), CreateTime: -1, Distance: 1},
	}
	check := func(o matcher.Order, want ...byte) {
		t.Helper()
		for range 24 {
			rows = append(rows[1:], rows[0])
			sorted := slices.Clone(rows)
			slices.SortFunc(sorted, func(a, b matcher.Match) int { return o.Compare(&a, &b) })
			for i, m := range sorted {
				if m.ID != id(want[i]) {
					t.Fatalf("%v: %v", o, sorted)
				}
			}
		}
	}
	check(matcher.BySimilarity, 1, 2, 3, 4)
	check(matcher.ByTimeAsc, 1, 4, 2, 3)
	check(matcher.ByTimeDesc, 2, 3, 4, 1)
}

// TestNames: what is written is read again, and nothing else is.
func TestNames(t *testing.T) {
	for i, name := range []string{"similarity", "create_time_asc", "create_time_desc"} {
		if o, err := matcher.ParseOrder(name); err != nil || o != matcher.Order(i) || o.String() != name {
			t.Errorf("%s: %v, %v", name, o, err)
		}
	}
	for i, name := range []string{"faces", "events", "attributes"} {
		o, err := matcher.ParseOrigin(name)
		if err != nil || o != matcher.Origin(i) || o.String() != name || o.Singular()+"s" != name {
			t.Errorf("%s: %v, %v", name, o, err)
		}
	}
	for _, name := range []string{"", "face", "Faces", "similarity ", "create_time"} {
		if _, err := matcher.ParseOrder(name); err == nil {
			t.Errorf("%q is an order", name)
		}
		if _, err := matcher.ParseOrigin(name); err == nil {
			t.Errorf("%q is an origin", name)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := context.DeadlineExceeded
	err := matcher.Errorf(matcher.CodeBadInput, "limit: %d: %w", 0, cause)
	if err.Error() != "limit: 0: context deadline exceeded" || !errors.Is(err, cause) || matcher.CodeOf(err) != matcher.CodeBadInput {
		t.Errorf("%v", err)
	}
	outer := matcher.At("candidates[1]", fmt.Errorf("wrapped: %w", err))
	if outer.Error() != "candidates[1].limit: 0: context deadline exceeded" || !errors.Is(outer, cause) || matcher.CodeOf(outer) != matcher.CodeBadInput {
		t.Errorf("%v", outer)
	}
	if plain := errors.New("x"); !errors.Is(matcher.At("a", plain), plain) || matcher.CodeOf(plain) != matcher.CodeInternal {
		t.Error("a plain error did not stay so")
	}
	busy := matcher.Overloaded(3*time.Second, "%d wait", 5)
	for _, err := range []error{busy, matcher.At("a", busy), matcher.At("a", fmt.Errorf("b: %w", busy)), matcher.Errorf(matcher.CodeUnavailable, "c: %w", busy)} {
		if e, ok := errors.AsType[*matcher.Error](err); !ok || e.Code != matcher.CodeUnavailable || e.RetryAfter != 3*time.Second {
			t.Errorf("%v does not say when to try again", err)
		}
	}
	if matcher.At("a", nil) != nil {
		t.Error("no error became one")
	}
}

func TestObjectErrors(t *testing.T) {
	id := matcher.MustID("0f8fad5b-d9cb-469f-a165-70867728950e")
	check := func(err *matcher.Error, code matcher.Code, detail string) {
		t.Helper()
		if err.Code != code || err.Detail != detail {
			t.Errorf("%d, %s; want %d, %s", err.Code, err.Detail, code, detail)
		}
	}
	check(matcher.Faces.NotFound(id), 22004, "face_id: "+id.String()+" does not exist")
	check(matcher.Events.NotFound(id), 22007, "event_id: "+id.String()+" does not exist")
	check(matcher.Attributes.NotFound(id), 22005, "attribute_id: "+id.String()+" does not exist")
	check(matcher.Faces.Exists(id), 22003, "face_id: "+id.String()+" exists already")
	check(matcher.Events.Exists(id), 22006, "event_id: "+id.String()+" exists already")
	check(matcher.ListNotFound(id), 22002, "list_id: "+id.String()+" does not exist")
}

func TestSmall(t *testing.T) {
	if v, ok := matcher.Small(0).Get(); ok {
		t.Errorf("absent is %d", v)
	}
	for i := range 256 {
		if v, ok := matcher.SmallOf(uint8(i)).Get(); !ok || int(v) != i {
			t.Errorf("%d is %d, %v", i, v, ok)
		}
	}
}

func TestRange(t *testing.T) {
	two, four := 2, 4
	in := func(r matcher.Range[int], want ...int) {
		t.Helper()
		var got []int
		for v := range 6 {
			if matcher.InRange(r, v) {
				got = append(got, v)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	in(matcher.Range[int]{}, 0, 1, 2, 3, 4, 5)
	in(matcher.Range[int]{GTE: &two}, 2, 3, 4, 5)
	in(matcher.Range[int]{LT: &four}, 0, 1, 2, 3)
	in(matcher.Range[int]{GTE: &two, LT: &four}, 2, 3)
	in(matcher.Range[int]{GTE: &four, LT: &two})
}

// TestFilterIsZero goes over all fields, so that none is forgotten: deleting
// by a filter that is zero would delete everything.
func TestFilterIsZero(t *testing.T) {
	var f matcher.Filter
	if !f.IsZero() {
		t.Error("the empty filter filters")
	}
	for i := range reflect.TypeFor[matcher.Filter]().NumField() {
		var f matcher.Filter
		field := reflect.ValueOf(&f).Elem().Field(i)
		fields := []reflect.Value{field}
		if field.Kind() == reflect.Struct { // a Range
			fields = []reflect.Value{field.Field(0), field.Field(1)}
		}
		for _, x := range fields {
			f = matcher.Filter{}
			if x.Kind() == reflect.Slice {
				x.Set(reflect.MakeSlice(x.Type(), 0, 0)) // selects nothing
			} else {
				x.Set(reflect.New(x.Type().Elem()))
			}
			if f.IsZero() {
				t.Errorf("%s does not count", reflect.TypeFor[matcher.Filter]().Field(i).Name)
			}
		}
	}
}

// points notes what it is told.
type points struct{ told []string }

func (p *points) Requested(r matcher.RequestPoint) { p.told = append(p.told, r.Route) }
func (p *points) Matched(m matcher.MatchPoint)     { p.told = append(p.told, m.Matcher) }
func (p *points) Stored(o *matcher.Object)         { p.told = append(p.told, o.ExternalID) }

func TestObservers(t *testing.T) {
	var a, b points
	all := matcher.Observers{&a, &b}
	all.Requested(matcher.RequestPoint{Route: "r"})
	all.Matched(matcher.MatchPoint{Matcher: "m"})
	all.Stored(&matcher.Object{ExternalID: "s"})
	for _, p := range []points{a, b} {
		if !slices.Equal(p.told, []string{"r", "m", "s"}) {
			t.Errorf("told %v", p.told)
		}
	}
}

func ExampleAt() {
	err := matcher.Errorf(matcher.CodeBadInput, "limit: %d is not in 1..1000", 0)
	fmt.Println(matcher.At("candidates[1]", err))
	// Output: candidates[1].limit: 0 is not in 1..1000
}
