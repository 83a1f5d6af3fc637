package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestFilters uses each filter of faces in three places: in a match, a page and an
// export.
func TestFilters(t *testing.T) {
	x := start(t)
	for n := 1; n <= 3; n++ {
		x.call("POST", "/1/lists", `{"list_id":"`+id(n)+`"}`).status(201)
	}
	account, event := "aaaaaaaa-0000-4000-8000-000000000000", "eeeeeeee-0000-4000-8000-000000000000"
	put := func(n int, more string) {
		t.Helper()
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","descriptor":%s,%s}`, id(n), descriptor(v4, byte(n), 0, 0, 0), more)).status(201)
	}
	put(1, `"create_time":"2026-05-01T00:00:00Z","age":0,"gender":0,"ethnic_group":1,"user_data":"a","external_id":"x","lists":["`+id(1)+`"]`)
	put(2, `"create_time":"2026-05-02T00:00:00Z","age":20,"gender":1,"ethnic_group":2,"user_data":"a","external_id":"y","lists":["`+id(1)+`","`+id(2)+`"]`)
	put(3, `"create_time":"2026-05-03T00:00:00Z","age":255,"user_data":"b","external_id":"z","account_id":"`+account+`"`)
	put(4, `"create_time":"2026-05-04T00:00:00Z","event_id":"`+event+`"`)

	filter := func(name, json string, want ...int) {
		t.Helper()
		faces := []string{}
		for _, n := range want {
			faces = append(faces, id(n))
		}
		compare := func(how string, rows []any, idOf func(any) any) {
			t.Helper()
			got := []string{}
			for _, r := range rows {
				got = append(got, idOf(r).(string))
			}
			if strings.Join(got, " ") != strings.Join(faces, " ") {
				t.Errorf("%s %s, by %s: %v, want %v", name, json, how, got, faces)
			}
		}
		a := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"faces","`+name+`":`+json+`}}`)).status(201)
		compare("match", a.at("0.matches.0.result").([]any), func(r any) any { return r.(map[string]any)["face"].(map[string]any)["face_id"] })
		ofFace := func(r any) any { return r.(map[string]any)["face_id"] }
		for _, query := range inQueries(name, json) {
			compare("list"+query, x.call("GET", "/1/faces"+query, "").status(200).at("faces").([]any), ofFace)
			lines := "[" + strings.ReplaceAll(strings.TrimSpace(string(x.call("GET", "/1/export"+query, "").status(200).body)), "\n", ",") + "]"
			compare("export"+query, value(t, lines).([]any), ofFace)
		}
	}
	filter("account_id", `"`+account+`"`, 3)
	filter("account_id", `"`+id(5)+`"`)
	filter("create_time__gte", `"2026-05-03T00:00:00Z"`, 3, 4)
	filter("create_time__gte", `"2026-05-02T23:59:59.999Z"`, 3, 4)
	filter("create_time__gte", `"2026-05-03T02:00:00+02:00"`, 3, 4)
	filter("create_time__lt", `"2026-05-03T00:00:00Z"`, 1, 2)
	filter("create_time__lt", `"2026-05-03T00:00:00.0009Z"`, 1, 2) // cut to milliseconds
	filter("create_time__lt", `"2026-05-03T00:00:00.001Z"`, 1, 2, 3)
	filter("user_data", `"a"`, 1, 2)
	filter("user_data", `"A"`)
	filter("external_ids", `["x","z","none"]`, 1, 3)
	filter("external_ids", `[]`)
	filter("age__gte", `0`, 1, 2, 3)
	filter("age__gte", `1`, 2, 3)
	filter("age__gte", `255`, 3)
	filter("age__lt", `255`, 1, 2)
	filter("age__lt", `0`)
	filter("gender", `0`, 1)
	filter("gender", `1`, 2)
	filter("gender", `2`)
	filter("ethnic_groups", `[1,2,3]`, 1, 2)
	filter("ethnic_groups", `[]`)
	filter("face_ids", `["`+id(4)+`","`+id(1)+`","`+id(1)+`"]`, 1, 4)
	filter("face_ids", `["`+id(9)+`"]`)
	filter("face_id__gte", `"`+id(3)+`"`, 3, 4)
	filter("face_id__lt", `"`+id(3)+`"`, 1, 2)
	filter("list_id", `"`+id(1)+`"`, 1, 2)
	filter("list_id", `"`+id(3)+`"`)
	filter("list_id", `"`+id(77)+`"`) // an unknown value selects nothing and is not an error
	filter("lists", `["`+id(2)+`","`+id(3)+`"]`, 2)
	filter("lists", `["`+id(1)+`","`+id(2)+`"]`, 1, 2)
	filter("lists", `[]`)
	filter("event_ids", `["`+event+`"]`, 4)
	filter("event_ids", `["`+strings.ToUpper(event)+`"]`, 4)

	// AND between fields, OR within a list.
	x.call("GET", "/1/faces?lists="+id(1)+"&user_data=a&age__gte=10", "").status(200).part("count", "1").part("faces.0.face_id", `"`+id(2)+`"`)
}

// inQueries are the ways to write a filter in a query.
func inQueries(name, json string) []string {
	whole := "?" + name + "=" + url.QueryEscape(json)
	switch json[0] {
	case '{':
		return []string{whole}
	case '[':
	default:
		return []string{"?" + name + "=" + url.QueryEscape(strings.Trim(json, `"`))}
	}
	values := strings.Split(strings.NewReplacer("[", "", "]", "", `"`, "").Replace(json), ",")
	ways := []string{whole, "?" + url.Values{name: values}.Encode()}
	if len(values[0]) == 36 || json[1] != '"' {
		ways = append(ways, "?"+name+"="+strings.Join(values, ","))
	}
	return ways
}

// TestCommaInQuery checks that a text with a comma is never read as two texts.
func TestCommaInQuery(t *testing.T) {
	x := start(t)
	for n, name := range []string{"Smith, John", "Smith", " John"} {
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","external_id":"%s","descriptor":%s}`, id(n+1), name, descriptor(v4, 0, 0, 0, 0))).status(201)
		x.call("POST", "/1/events", fmt.Sprintf(`{"event_id":"%s","tags":["%s"],"face_descriptor":%s}`, id(n+1), name, descriptor(v4, 0, 0, 0, 0))).status(201)
	}
	for path, name := range map[string]string{"/1/faces": "external_ids", "/1/events": "tags"} {
		text := "?" + name + "=Smith%2C%20John"
		for _, method := range []string{"GET", "DELETE"} {
			x.call(method, path+text, "").fault(12022, name+`: "Smith, John"`, name+`=["Smith, John"]`, name+"=a&"+name+"=b")
			x.call(method, path+text+"&"+name+"=x", "").fault(12022, "comma")
		}
		x.call("GET", "/1/export?origin="+path[3:]+"&"+text[1:], "").fault(12022, "comma")
		x.call("GET", path, "").status(200).part("count", "3")
		array := "?" + name + "=" + url.QueryEscape(`["Smith, John"]`)
		x.call("GET", path+array, "").status(200).part("count", "1").part(path[3:]+".0."+path[3:len(path)-1]+"_id", `"`+id(1)+`"`)
		x.call("DELETE", path+array, "").status(200).json(`{"deleted":1}`)
		x.call("GET", path+"?"+name+"=Smith&"+name+"=%20John", "").status(200).part("count", "2")
		x.call("DELETE", path+"?"+name+"=[]", "").status(200).json(`{"deleted":0}`)
		x.call("DELETE", path+"?"+name+"=Smith&"+name+"=", "").status(200).json(`{"deleted":1}`)
	}
}

// TestFilterNow checks times relative to now, with faces that are between a minute
// and two years old.
func TestFilterNow(t *testing.T) {
	x := start(t)
	now := time.Now()
	for n, age := range []time.Duration{time.Minute, 2 * time.Hour, 49 * time.Hour, 15 * 24 * time.Hour, 70 * 24 * time.Hour, 800 * 24 * time.Hour} {
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","create_time":"%s","descriptor":%s}`, id(n), now.Add(-age).Format(time.RFC3339Nano), descriptor(v4, 0, 0, 0, 0))).status(201)
	}
	younger := func(text string, want int) {
		t.Helper()
		x.call("GET", "/1/faces?create_time__gte="+text, "").status(200).part("count", itoa(want))
		x.call("GET", "/1/faces?create_time__lt="+text, "").status(200).part("count", itoa(6-want))
	}
	younger("now-1s", 0)
	younger("now-3600s", 1)
	younger("now-3h", 2)
	younger("now-150m", 2)
	younger("now-3d", 3)
	younger("now-2w", 3)
	younger("now-3w", 4)
	younger("now-1M", 4)
	younger("now-3M", 5)
	younger("now-2y", 5)
	younger("now-999999999y", 6)
}

func TestFiltersRefused(t *testing.T) {
	x := start(t, func(s *settings) { s.limits.FilterValues = 3 })
	refused := func(name, json string, code int, details ...string) {
		t.Helper()
		body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces()+`,{"filters":{"origin":"faces","`+name+`":`+json+`}}`)
		x.call("POST", "/1/matcher/faces", body).fault(code, append(details, "candidates[1].filters."+name)...)
	}
	refused("list_id", `"abc"`, 12022, `must be a UUID, got "abc"`)
	refused("list_id", `null`, 12022, "null")
	refused("list_id", `["`+id(1)+`"]`, 12022, "got an array")
	refused("lists", `"`+id(1)+`"`, 12022, "must be an array")
	refused("lists", `["x"]`, 12022, "lists[0]", `"x"`)
	refused("lists", `["`+id(1)+`","`+id(2)+`","`+id(3)+`","`+id(4)+`"]`, 31007, "4", "limits.filter_values", "3")
	refused("age__gte", `256`, 12022, "256", "from 0 to 255")
	refused("age__gte", `-1`, 12022, "-1")
	refused("age__gte", `1.5`, 12022, "1.5")
	refused("age__gte", `"1"`, 12022, `"1"`)
	refused("gender", `true`, 12022, "true")
	refused("ethnic_groups", `[1,null]`, 12022, "ethnic_groups[1]", "null")
	refused("create_time__gte", `"yesterday"`, 12022, "yesterday")
	refused("create_time__gte", `"now-5"`, 12022, "now-5")
	refused("create_time__lt", `17`, 12022, "17")
	refused("user_data", `7`, 12022, "7")
	refused("external_ids", `{}`, 12022, "object")
	refused("name", `"x"`, 12022, "unknown filter of faces")
	refused("sources", `[]`, 12022, "unknown filter of faces") // a filter of events only
	refused("origin", `"faces"`, 12022, "given twice")

	origin := func(filters string, details ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":`+filters+`}`)).fault(12022, append(details, "candidates[0].filters")...)
	}
	origin(`{}`, "origin", "is missing")
	origin(`{"origin":"people"}`, "origin", `"people"`)
	origin(`{"origin":null}`, "origin", "null")
	origin(`[]`, "array")

	query := func(query string, code int, details ...string) {
		t.Helper()
		x.call("GET", "/1/faces?"+query, "").fault(code, details...)
		x.call("GET", "/1/export?"+query, "").fault(code, details...)
		x.call("DELETE", "/1/faces?"+query, "").fault(code, details...)
	}
	query("list_id=abc", 12022, "list_id", "abc")
	query("list_id=", 12022, "list_id")
	query("name=x", 12022, "name", "unknown filter")
	query("age__gte=x", 12022, "age__gte", "x")
	query("ethnic_groups=1,,2", 12022, "ethnic_groups[1]")
	query("ethnic_groups=1,2,3,4", 31007, "ethnic_groups", "4", "3")
	query("external_ids=1&external_ids=[%222%22,%223%22]&external_ids=4", 31007, "external_ids", "4", "3")
	query("external_ids=1,2", 12022, "external_ids", "comma")
	query("external_ids=[1", 12022, "external_ids", "[1", "JSON array")
	query("external_ids=[1]", 12022, "external_ids[0]", "must be text, got 1")
	query("external_ids[]=1", 12022, "external_ids[]", "did you mean external_ids?")
	query("gender=1&gender=0", 12022, "gender", "must be given once", `"1"`, `"0"`)
	query("account_id="+id(1)+"&account_id="+id(1), 12022, "account_id", "must be given once")
	query("age__gte=1&page=1&age__gte=1", 12022)
	query("list_id="+id(1)+"&list_id="+id(1), 12022, "list_id", "must be given once")
	query("external_ids=%ff", 12022, "external_ids", "UTF-8")
	query("%ff=1", 12022, "UTF-8")
	query("user_data=%zz", 12022, "user_data:", `"%zz"`, "%25")
	query("user_data=50%", 12022, "user_data:", `"50%"`, `escape "%"`)
	query("user_data=a%2", 12022, "user_data:", `"a%2"`, `escape "%2"`)
	query("user_data=%2%41", 12022, "user_data:", `escape "%2%"`)
	query("user_data=%25&external_ids=%g0", 12022, "external_ids:", `"%g0"`)
	query("user%xdata=x", 12022, "query: the key", `"user%xdata"`, `escape "%xd"`)
	query("=x&age__gte=1", 12022, `query: the parameter "=x" has no name`)
	query("account_id=%", 12022, "account_id:", `"%"`)
	query("create_time__lt=tomorrow", 12022, "create_time__lt", "tomorrow")
}
