package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// fieldCase is a plain field of an origin, with the value that the test stores.
type fieldCase struct {
	origin matcher.Origin
	*matcher.Field
	value  any // a string, a float64 or a list of float64
	wanted any // the value that filters look for: value, or one value of a list
}

// fieldCases returns a case for every plain field of every origin.
func fieldCases() (cases []*fieldCase) {
	for o := range matcher.Origins {
		for i, f := range matcher.Fields(o) {
			c := &fieldCase{origin: o, Field: f}
			switch f.Kind {
			case matcher.TextField:
				c.value = "value of " + f.Path()
			case matcher.UUIDField:
				c.value = fmt.Sprintf("0f000000-0000-4000-8000-%012x", 0xf00+i)
			case matcher.SmallsField:
				c.value, c.wanted = []any{3.0, float64(100 + i)}, float64(100+i)
			default:
				c.value = float64(100 + i)
			}
			if c.wanted == nil {
				c.wanted = c.value
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// objectOf returns an object of an origin with every plain field of the cases.
func objectOf(o matcher.Origin, cases []*fieldCase) map[string]any {
	object := map[string]any{}
	for _, c := range cases {
		switch {
		case c.origin != o:
		case c.Group == "":
			object[c.Name] = c.value
		default:
			group, _ := object[c.Group].(map[string]any)
			if group == nil {
				group = map[string]any{}
				object[c.Group] = group
			}
			group[c.Name] = c.value
		}
	}
	return object
}

// TestFields checks each field of the table of plain fields. The field is written, read,
// filtered, targeted, exported, imported and used by a set operator in Lua. After a
// restart, with segments and without, it is still there. Finally it is cleared.
func TestFields(t *testing.T) {
	dir, cases := t.TempDir(), fieldCases()
	var lines [matcher.Origins]string
	for _, step := range []string{"written", "from segments", "from the database"} {
		t.Run(step, func(t *testing.T) {
			if step == "from segments" {
				if files := testkit.Must(filepath.Glob(filepath.Join(dir, "segments", "*.seg"))); len(files) < int(matcher.Origins) {
					t.Fatalf("%d segments", len(files))
				}
			}
			if step == "from the database" {
				check(t, os.RemoveAll(filepath.Join(dir, "segments")))
			}
			x := start(t, withPlugins(map[string]string{"where": wherePlugin(cases)}), func(s *settings) {
				s.dir, s.warn = dir, func(msg string, args ...any) { t.Error(append([]any{msg}, args...)...) }
			})
			if step == "written" {
				writeFields(x, cases)
			}
			for _, c := range cases {
				findField(x, c)
				matchField(x, c, cases)
			}
			for _, o := range []matcher.Origin{matcher.Faces, matcher.Events} {
				lines[o] = string(x.call("GET", "/1/export?origin="+o.String(), "").status(200).body)
			}
		})
	}
	t.Run("imported", func(t *testing.T) {
		x := start(t, withPlugins(map[string]string{"where": wherePlugin(cases)}))
		for _, o := range []matcher.Origin{matcher.Faces, matcher.Events} {
			x.call("POST", "/1/import?origin="+o.String(), lines[o]).status(200).part("accepted", "2")
		}
		for _, c := range cases {
			if c.origin != matcher.Attributes { // attributes are neither exported nor imported
				findField(x, c)
				matchField(x, c, cases)
			}
		}
	})
	t.Run("cleared", func(t *testing.T) {
		x := start(t, func(s *settings) { s.dir = dir })
		for _, c := range cases {
			clearField(x, c, cases)
		}
	})
}

// fieldID is the ID of the object with the fields, and plainID the ID of the object without
// fields.
var fieldID, plainID = id(1), id(2)

// writeFields stores two objects of every origin: fieldID with every field, and plainID
// without fields.
func writeFields(x *service, cases []*fieldCase) {
	x.Helper()
	for o := range matcher.Origins {
		for _, id := range []string{fieldID, plainID} {
			object := map[string]any{}
			if id == fieldID {
				object = objectOf(o, cases)
			}
			putObject(x, o, id, object)
		}
	}
}

// putObject stores an object with these fields and a descriptor. It replaces the object
// with this ID, if there is one.
func putObject(x *service, o matcher.Origin, id string, fields map[string]any) {
	x.Helper()
	method, path := "PUT", "/1/"+o.String()+"/"+id
	switch o {
	case matcher.Events: // an event cannot be changed
		x.call("DELETE", path, "")
		method, path = "POST", "/1/events"
		fields["event_id"], fields["face_descriptor"] = id, json.RawMessage(descriptor(v4, 1, 2, 3, 4))
	case matcher.Attributes:
		path += "?ttl=100000"
		fields["descriptor"] = json.RawMessage(descriptor(v4, 1, 2, 3, 4))
	default:
		fields["descriptor"] = json.RawMessage(descriptor(v4, 1, 2, 3, 4))
	}
	a := x.call(method, path, string(testkit.Must(json.Marshal(fields))))
	if code := a.response.StatusCode; code != 200 && code != 201 {
		x.Fatalf("%s %s: %d %s", method, path, code, a.body)
	}
}

// findField reads the field, and checks that each of its filters finds the object by the
// value of the field, and finds nothing by another value.
func findField(x *service, c *fieldCase) {
	x.Helper()
	object := decodedObject(x, "/1/"+c.origin.String()+"/"+fieldID)
	if got := valueAt(object, c.Path()); !cmp.Equal(got, c.value) {
		x.Errorf("%s.%s is %v, want %v", c.origin, c.Path(), got, c.value)
	}
	for _, query := range c.queries() {
		got := idsFound(x, c.origin, query)
		if !slices.Equal(got, []string{fieldID}) {
			x.Errorf("%s: %s found %v", c.origin, query, got)
		}
	}
	other := *c
	switch c.Kind {
	case matcher.UUIDField:
		other.wanted = plainID
	case matcher.SmallField, matcher.SmallsField:
		other.wanted = 77.0
	default:
		other.wanted = "another"
	}
	for _, query := range other.queries() {
		if got := idsFound(x, c.origin, query); len(got) > 0 {
			x.Errorf("%s: %s found %v", c.origin, query, got)
		}
	}
}

// queries returns the queries that find the value with each filter of the field.
func (c *fieldCase) queries() (all []string) {
	for _, filter := range []string{c.Any, c.Is} {
		if filter != "" {
			all = append(all, url.Values{filter: {fmt.Sprint(c.wanted)}}.Encode())
		}
	}
	if c.Range != "" {
		all = append(all, fmt.Sprintf("%s__gte=%v&%s__lt=%v", c.Range, c.wanted, c.Range, c.wanted.(float64)+1))
	}
	return all
}

// idsFound returns the ids of the objects that a query finds.
func idsFound(x *service, o matcher.Origin, query string) (ids []string) {
	x.Helper()
	for _, object := range decodedObject(x, "/1/"+o.String()+"?"+query)[o.String()].([]any) {
		ids = append(ids, object.(map[string]any)[o.Singular()+"_id"].(string))
	}
	return ids
}

func decodedObject(x *service, path string) (object map[string]any) {
	x.Helper()
	check(x, json.Unmarshal(x.call("GET", path, "").status(200).body, &object))
	return object
}

// matchField lets a plugin keep the rows with the value, and asks for the field as the
// only target.
func matchField(x *service, c *fieldCase, cases []*fieldCase) {
	x.Helper()
	target := c.Name
	if c.Group != "" {
		target = c.Group
	}
	set := fmt.Sprintf(`{"filters":{"origin":%q},"targets":[%q],"limit":%d}`, c.origin, target, whereLimit+slices.Index(cases, c))
	a := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), set)).status(201)
	var answer []struct {
		Matches []struct {
			Result []map[string]map[string]any `json:"result"`
		} `json:"matches"`
	}
	check(x, json.Unmarshal(a.body, &answer))
	want := []map[string]map[string]any{{c.origin.Singular(): {c.origin.Singular() + "_id": fieldID, target: objectOf(c.origin, cases)[target]}}}
	if diff := cmp.Diff(want, answer[0].Matches[0].Result); diff != "" {
		x.Errorf("%s.%s: %s", c.origin, c.Path(), diff)
	}
}

// whereLimit is the limit of a candidate set for which wherePlugin uses the first case.
const whereLimit = 100

// wherePlugin returns a plugin that keeps the rows with the value of a case. The limit of
// the candidate set says which case: whereLimit plus its index.
func wherePlugin(cases []*fieldCase) string {
	var list strings.Builder
	for _, c := range cases {
		value := string(testkit.Must(json.Marshal(c.wanted)))
		fmt.Fprintf(&list, "  {%q, %s},\n", c.Path(), value)
	}
	return fmt.Sprintf(`
local fields = {
%s}
local M = {api = 1, name = "where", kinds = {"matching"}, matching = {origins = {"faces", "events", "attributes"}}}
function M:prefilter(req, set)
  local name, value = fields[req.limit - %d][1], fields[req.limit - %d][2]
  return set:where(name, "=", value):intersect(set:one_of(name, {value}))
end
return M`, list.String(), whereLimit-1, whereLimit-1)
}

// clearField removes the field from the object: with null in a PATCH of a face, and with a
// PUT without the field.
func clearField(x *service, c *fieldCase, cases []*fieldCase) {
	x.Helper()
	path := "/1/" + c.origin.String() + "/" + fieldID
	putObject(x, c.origin, fieldID, objectOf(c.origin, cases))
	if c.origin == matcher.Faces {
		x.call("PATCH", path, fmt.Sprintf(`{%q:null}`, c.Name)).status(200)
	} else {
		others := slices.DeleteFunc(slices.Clone(cases), func(other *fieldCase) bool { return other == c })
		putObject(x, c.origin, fieldID, objectOf(c.origin, others))
	}
	if got := valuesAt(decodedObject(x, path), c.Path()); got != nil {
		x.Errorf("%s.%s is %v after it was cleared", c.origin, c.Path(), got)
	}
	for _, query := range c.queries() {
		if got := idsFound(x, c.origin, query); len(got) > 0 {
			x.Errorf("%s: %s found %v after the field was cleared", c.origin, query, got)
		}
	}
}
