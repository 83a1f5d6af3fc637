package matcher_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// TestOrders: every order is total; ties are ordered by ascending ID.
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

// TestNames: the parsers read the names that String writes, and refuse others.
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
			t.Errorf("%q is accepted as an order", name)
		}
		if _, err := matcher.ParseOrigin(name); err == nil {
			t.Errorf("%q is accepted as an origin", name)
		}
	}
}

// TestErrors: an error keeps its cause, its code and its RetryAfter when it is wrapped
// or gets a path.
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
		t.Error("At changed a plain error")
	}
	busy := matcher.Overloaded(3*time.Second, "%d wait", 5)
	for _, err := range []error{busy, matcher.At("a", busy), matcher.At("a", fmt.Errorf("b: %w", busy)), matcher.Errorf(matcher.CodeUnavailable, "c: %w", busy)} {
		if e, ok := errors.AsType[*matcher.Error](err); !ok || e.Code != matcher.CodeUnavailable || e.RetryAfter != 3*time.Second {
			t.Errorf("%v: RetryAfter is lost", err)
		}
	}
	if matcher.At("a", nil) != nil {
		t.Error("At returned an error for nil")
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
		t.Errorf("the absent Small has value %d", v)
	}
	for i := range 256 {
		if v, ok := matcher.SmallOf(uint8(i)).Get(); !ok || int(v) != i {
			t.Errorf("%d is %d, %v", i, v, ok)
		}
	}
}

// TestFilterIsZero sets each field in turn, also those of Event and of ranges. If
// IsZero ignored a field, a delete by that field would be refused or would delete
// everything.
func TestFilterIsZero(t *testing.T) {
	var f matcher.Filter
	if !f.IsZero() {
		t.Error("IsZero is false for the empty filter")
	}
	checked := 0
	var checkFields func(name string, v reflect.Value)
	checkFields = func(name string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				checkFields(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // selects nothing
		default:
			v.Set(reflect.New(v.Type().Elem()))
		}
		if f.IsZero() {
			t.Errorf("IsZero ignores %s", name)
		}
		v.SetZero()
		checked++
	}
	checkFields("Filter", reflect.ValueOf(&f).Elem())
	if checked < 16 {
		t.Errorf("only %d fields were checked, want at least 16", checked)
	}
}

// recorder is an observer that records its calls.
type recorder struct{ calls []string }

func (r *recorder) Requested(p matcher.RequestPoint) { r.calls = append(r.calls, p.Route) }
func (r *recorder) Matched(p matcher.MatchPoint)     { r.calls = append(r.calls, p.Matcher) }
func (r *recorder) Stored(o *matcher.Object)         { r.calls = append(r.calls, o.ExternalID) }

func TestObservers(t *testing.T) {
	var a, b recorder
	all := matcher.Observers{&a, &b}
	all.Requested(matcher.RequestPoint{Route: "r"})
	all.Matched(matcher.MatchPoint{Matcher: "m"})
	all.Stored(&matcher.Object{ExternalID: "s"})
	for _, r := range []recorder{a, b} {
		if !slices.Equal(r.calls, []string{"r", "m", "s"}) {
			t.Errorf("the calls are %v", r.calls)
		}
	}
}

// TestShorten: a long text is cut between characters.
func TestShorten(t *testing.T) {
	check := func(in string, bytesMax int, want string) {
		t.Helper()
		if got := matcher.ShortenTo(in, bytesMax); got != want {
			t.Errorf("%q to %d bytes: %q, want %q", in, bytesMax, got, want)
		}
	}
	check("", 3, "")
	check("abc", 3, "abc")
	check("abcd", 3, "...")
	check("abcdef", 5, "ab...")
	check("aébcd", 5, "a...")
	check("aébcd", 6, "aébcd")
	check("aébcde", 6, "aé...")
	check("a\U0001F600bcd", 7, "a...")
	check("a\U0001F600bcde", 8, "a\U0001F600...")
	check("\x80\x80\x80\x80\x80\x80\x80\x80", 7, "\x80...") // not UTF-8
	if got := matcher.Shorten(strings.Repeat("x", 65)); got != strings.Repeat("x", 61)+"..." {
		t.Errorf("65 bytes: %q", got)
	}
	if s := strings.Repeat("x", 64); matcher.Shorten(s) != s {
		t.Errorf("64 bytes: %q", matcher.Shorten(s))
	}
}

func ExampleAt() {
	err := matcher.Errorf(matcher.CodeBadInput, "limit: must be an integer from 1 to 1000, got %d", 0)
	fmt.Println(matcher.At("candidates[1]", err))
	// Output: candidates[1].limit: must be an integer from 1 to 1000, got 0
}
