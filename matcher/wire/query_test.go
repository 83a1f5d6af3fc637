package wire

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// isTextList reports whether a filter is a list of texts, which commas do not separate in
// a query.
func isTextList(o matcher.Origin, name string) bool {
	return slices.Contains([]string{"external_ids", "tags", "meta.shop.name__in"}, name) ||
		slices.ContainsFunc(matcher.Fields(o), func(f *matcher.Field) bool { return f.Any == name && f.Kind == matcher.TextField })
}

// TestQueryLists writes every list of every origin in all forms that a query
// allows, and compares it with the list in a body.
func TestQueryLists(t *testing.T) {
	d := newDecoder(t)
	lists := 0
	check := func(o matcher.Origin, name string) {
		field, err := d.filterField(o, name, func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if !field.list {
			return
		}
		lists++
		values := []string{"1", "2", "3"}
		texts := isTextList(o, name)
		switch {
		case texts:
			values = []string{"Smith, John", `["`, ` é"\&`}
		case strings.HasSuffix(name, "ids") || name == "lists":
			values = []string{idA.String(), idB.String(), matcher.ID{1}.String()}
		case name == "meta.vip__in":
			values = []string{"true", "false", "true"}
		}
		array := func(elements ...string) string {
			if !texts && len(values[0]) < 36 {
				return "[" + strings.Join(elements, ",") + "]"
			}
			return string(AppendValue(nil, JSON, elements))
		}
		same := func(body []string, occurrences ...string) {
			t.Helper()
			req, err := d.Match(JSON, []byte(matchBody(rawRef, `{"filters":{"origin":"`+o.String()+`","`+name+`":`+array(body...)+`}}`)), matcher.FaceDescriptor)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.QueryFilter(o, Query{name: occurrences})
			if diff := cmp.Diff(req.Candidates[0].Filter, got, sameField); err != nil || diff != "" {
				t.Errorf("%s of %s as %q: %v %s", name, o, occurrences, err, diff)
			}
		}
		a, b, c := values[0], values[1], values[2]
		same([]string{a, b, c}, array(a, b, c))
		same([]string{a, b, c}, " \n"+array(a, b), array(c)+" ")
		same([]string{c, a}, array(c), array(), "", array(a))
		same([]string{}, array())
		same([]string{}, "")
		same([]string{}, "", "")
		if !texts {
			same([]string{a, b, c}, a+","+b+","+c)
			same([]string{a, b, c, a}, a+","+b, c, array(a))
			_, err := d.QueryFilter(o, Query{name: {a + ",," + b}})
			refused(t, err, matcher.CodeBadInput, name+"[1]: ")
			return
		}
		same([]string{"x", " y", "z"}, "x", " y", "z")
		same([]string{"x", a, `"y"`}, "x", array(a), `"y"`)
		for _, occurrences := range [][]string{{a}, {"x", a}, {a, "x"}, {"x,"}, {","}} {
			_, err := d.QueryFilter(o, Query{name: occurrences})
			refused(t, err, matcher.CodeBadInput, "contains a comma")
		}
		_, err = d.QueryFilter(o, Query{name: {a}})
		refused(t, err, matcher.CodeBadInput, name+`: "Smith, John" contains a comma; write `+name+`=["Smith, John"] for this text, or `+name+`=a&`+name+`=b for several`)
	}
	for o := range matcher.Origins {
		for name := range filterFields[o] {
			check(o, name)
		}
	}
	for _, name := range []string{"meta.shop.floor__in", "meta.shop.name__in", "meta.vip__in"} {
		check(matcher.Events, name)
	}
	if lists < 25 {
		t.Errorf("only %d lists were tested", lists)
	}
}

// TestQueryRefused: the error for a wrong query names the parameter, the value and
// the allowed values.
func TestQueryRefused(t *testing.T) {
	d := newDecoder(t)
	check := func(o matcher.Origin, q Query, code matcher.Code, detail string) {
		t.Helper()
		_, err := d.QueryFilter(o, q)
		refused(t, err, code, detail)
	}
	faces := func(name, detail string, occurrences ...string) {
		t.Helper()
		check(matcher.Faces, Query{name: occurrences}, matcher.CodeBadInput, detail)
	}
	faces("external_ids", `external_ids: must be a JSON array when it begins with [, got "[x]": byte 1: invalid character 'x' looking for beginning of value; write a text that begins with [ in an array, as in external_ids=["[x"]`, "[x]")
	faces("external_ids", `write a text that begins with [ in an array, as in external_ids=["[x"]`, "[")
	faces("external_ids", "external_ids[1]: must be text, got 1", `["a",1]`)
	faces("external_ids", "external_ids[2]: must be text, got null", "a", `["b",null]`)
	faces("external_ids", "external_ids[0]: must be text, got an array", `[[]]`)
	faces("face_ids", `face_ids[0]: must be a UUID, got ""`, `[""]`)
	faces("face_ids", "face_ids[0]: must be a UUID, got 1", `[1]`)
	faces("ethnic_groups", `ethnic_groups[0]: must be an integer from 0 to 255, got "1"`, `["1"]`)
	faces("ethnic_groups", `ethnic_groups[1]: must be an integer`, "3", "1 2")
	faces("ethnic_groups", "nested deeper than 32 levels", strings.Repeat("[", 33)+strings.Repeat("]", 33))
	faces("external_ids[]", "external_ids[]: unknown filter of faces; did you mean external_ids?", "a")
	faces("foo[]", "foo[]: unknown filter of faces", "a")
	for name := range filterFields[matcher.Faces] {
		if !filterFields[matcher.Faces][name].list {
			faces(name, name+`: must be given once in the query, got "1" and "2"`, "1", "2")
		}
	}
	check(matcher.Events, Query{"geo_position": {"{}", "{}"}}, matcher.CodeBadInput, `geo_position: must be given once in the query, got "{}" and "{}"`)
	check(matcher.Events, Query{"meta.vip__eq": {"true", "true"}}, matcher.CodeBadInput, `meta.vip__eq: must be given once in the query, got "true" and "true"`)
	check(matcher.Faces, Query{"ethnic_groups": {"1,2", "[3,4]", "5", "6"}}, matcher.CodeTooMany, "ethnic_groups: must have at most 5 items (limits.filter_values), got 6")
	check(matcher.Faces, Query{"external_ids": {strings.Repeat("é,", 99)}}, matcher.CodeBadInput, "contains a comma")
}

// TestQueryIntegers: an integer may be written with a zero fraction or an
// exponent.
func TestQueryIntegers(t *testing.T) {
	d := newDecoder(t)
	for text, want := range map[string]int{"33": 33, "33.0": 33, "3.3e1": 33, "330e-1": 33, "0": 0, "-0.0": 0, "255": 255} {
		f, err := d.QueryFilter(matcher.Faces, Query{"age__gte": {text}, "ethnic_groups": {text + "," + text}})
		if err != nil || int(*f.On(fieldAt("age")).Range.GTE) != want || int(f.On(fieldAt("ethnic_group")).Smalls[1]) != want {
			t.Errorf("%s: %+v %v", text, f, err)
		}
		if n, ok := QueryInteger(text); !ok || n != int64(want) {
			t.Errorf("%s: %d %t", text, n, ok)
		}
	}
	for _, text := range []string{"", "33.5", "256.0", "-1.0", "1e400", "0x10", "1_0", "Infinity", "NaN", " 1", "true", `"1"`, "null", "[1]"} {
		if f, err := d.QueryFilter(matcher.Faces, Query{"gender": {text}}); err == nil {
			t.Errorf("%q: %+v", text, f)
		}
	}
	for _, text := range []string{"", "1.5", "1e17", "9223372036854775808", "x"} {
		if n, ok := QueryInteger(text); ok {
			t.Errorf("%q: %d", text, n)
		}
	}
	if n, ok := QueryInteger("9223372036854775807"); !ok || n != 1<<63-1 {
		t.Error(n, ok)
	}
}
