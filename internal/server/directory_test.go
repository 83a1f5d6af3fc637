package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// TestDirectory2026 opens a data directory that the server of November 2026 made
// (commit a4dcd2f). The directory has objects of all origins with all fields, segments,
// and changes that are newer than the segments. Each line that the old server exported
// must be exported again, byte for byte. For every value of a field, its filter must find
// exactly the objects with this value. The segments have other columns than today's, so
// the first start reads the database and warns. The second start uses the new segments.
func TestDirectory2026(t *testing.T) {
	dir := unpackDirectory(t, "testdata/directory-2026-11.tar.gz")
	for _, run := range []struct {
		name     string
		warnings int
	}{{"old segments", 1}, {"new segments", 0}} {
		t.Run(run.name, func(t *testing.T) {
			var warnings []string
			x := start(t, func(s *settings) {
				s.dir = dir
				s.warn = func(msg string, args ...any) { warnings = append(warnings, fmt.Sprint(msg, args)) }
			})
			if len(warnings) != run.warnings || run.warnings > 0 && !strings.Contains(warnings[0], "because the configuration or the program changed") {
				t.Errorf("the warnings are %q, want %d", warnings, run.warnings)
			}
			for _, origin := range []string{"faces", "events"} {
				want := exportLines(testkit.Must(os.ReadFile("testdata/directory-2026-11/" + origin + ".jsonl")))
				got := exportLines(x.call("GET", "/1/export?origin="+origin, "").status(200).body)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the export of %s differs:\n%s", origin, diff)
				}
				var objects []map[string]any
				for _, line := range want {
					objects = append(objects, decoded(t, line))
				}
				findByFields(x, origin, objects)
			}
			want := testkit.Must(os.ReadFile("testdata/directory-2026-11/attributes.json"))
			got := x.call("GET", "/1/attributes?page_size=100&descriptor=1", "").status(200).body
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the attributes differ:\n%s", diff)
			}
			var objects []map[string]any
			for _, object := range decoded(t, string(want))["attributes"].([]any) {
				objects = append(objects, object.(map[string]any))
			}
			findByFields(x, "attributes", objects)
		})
	}
}

// exportLines returns the lines of an export, which come in the order of rows in memory.
func exportLines(text []byte) []string { return slices.Sorted(strings.Lines(string(text))) }

func decoded(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	check(t, json.Unmarshal([]byte(text), &object))
	return object
}

// equalityFilters are filters by the path of the field that they compare for equality.
var equalityFilters = map[string]string{
	"account_id": "account_id", "external_id": "external_ids", "user_data": "user_data", "gender": "gender", "ethnic_group": "ethnic_groups",
	"event_id": "event_ids", "face_id": "face_ids", "attribute_id": "attribute_ids", "lists": "lists",
	"source": "sources", "handler_id": "handler_ids", "stream_id": "stream_ids", "track_id": "track_ids", "tags": "tags",
	"emotion": "emotions", "mask": "masks", "location.city": "cities", "location.area": "areas", "location.district": "districts",
	"location.street": "streets", "location.house_number": "house_numbers",
	"top_match.object_id": "top_match_object_ids", "top_match.external_id": "top_match_external_ids",
	"meta.shop.floor": "meta.shop.floor__eq", "meta.shop.name": "meta.shop.name__eq", "meta.vip": "meta.vip__eq",
}

// findByFields looks for every value of every field that objects have, and compares the
// IDs that are found with those of the objects that have the value.
func findByFields(x *service, origin string, objects []map[string]any) {
	x.Helper()
	id := strings.TrimSuffix(origin, "s") + "_id"
	found := map[string][]string{} // query -> IDs
	for _, object := range objects {
		for path, filter := range equalityFilters {
			for _, value := range valuesAt(object, path) {
				query := url.Values{filter: {fmt.Sprint(value)}}.Encode()
				found[query] = append(found[query], object[id].(string))
			}
		}
		if age, ok := object["age"].(float64); ok && age < 255 {
			query := fmt.Sprintf("age__gte=%v&age__lt=%v", age, age+1)
			found[query] = append(found[query], object[id].(string))
		}
	}
	if len(found) < len(objects) {
		x.Fatalf("only %d filters", len(found))
	}
	for query, want := range found {
		var got []string
		page := decoded(x.TB.(*testing.T), string(x.call("GET", "/1/"+origin+"?page_size=1000&"+query, "").status(200).body))
		for _, object := range page[origin].([]any) {
			got = append(got, object.(map[string]any)[id].(string))
		}
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			x.Errorf("%s: %s found %v, want %v", origin, query, got, want)
		}
	}
}

// valuesAt returns the values of the field at path, which may be a list.
func valuesAt(object map[string]any, path string) []any {
	switch value := valueAt(object, path).(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

// valueAt returns the value at path, which has names joined by dots. It returns nil if a
// name is missing.
func valueAt(object map[string]any, path string) any {
	var value any = object
	for name := range strings.SplitSeq(path, ".") {
		part, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = part[name]
	}
	return value
}
