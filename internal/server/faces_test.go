package server_test

import (
	"regexp"
	"strings"
	"testing"
)

// full is a face with all fields, as GET ?descriptor=1 shows it.
const full = `{"face_id":"00000000-0000-4000-8000-000000000001","account_id":"aaaaaaaa-0000-4000-8000-000000000000","external_id":"ext","user_data":"data",
	"event_id":"eeeeeeee-0000-4000-8000-000000000000","create_time":"2026-05-01T00:00:00.000Z","avatar":"http://a/b","lists":[],
	"age":33,"gender":1,"ethnic_group":2,"descriptor":{"version":4,"data":"AQIDBA=="}}`

// withoutDescriptor returns a face as GET shows it by default.
func withoutDescriptor(face string) string {
	return regexp.MustCompile(`,\s*"descriptor":\{[^}]*\}`).ReplaceAllString(face, "")
}

func TestFaceCreate(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/faces", full).status(201).json(`{"face_id":"` + id(1) + `"}`)
	x.call("GET", "/1/faces/"+id(1), "").status(200).json(withoutDescriptor(full))
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=0", "").status(200).json(withoutDescriptor(full))
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).json(full)
	x.call("POST", "/1/faces", full).fault(22003, "face_id", id(1))

	// Missing values are created, null has the meaning of absent, and unset fields are not shown.
	made := x.call("POST", "/1/faces", `{"age":null,"lists":null,"account_id":null,"face_id":null,"create_time":null,"descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).status(201).at("face_id").(string)
	shown := x.call("GET", "/1/faces/"+made, "").status(200).value().(map[string]any)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(shown["create_time"].(string)) {
		t.Errorf("create_time is %v", shown["create_time"])
	}
	delete(shown, "create_time")
	if len(shown) != 2 || shown["face_id"] != made {
		t.Errorf("%v", shown)
	}
}

func TestFaceNormalised(t *testing.T) {
	x := start(t)
	// IDs become lower case, times UTC with milliseconds.
	x.call("POST", "/1/faces", `{"face_id":"0000000A-0000-4000-8000-00000000000B","create_time":"2026-05-01T02:00:00.123999999+02:00","descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).
		status(201).json(`{"face_id":"0000000a-0000-4000-8000-00000000000b"}`)
	x.call("GET", "/1/faces/0000000A-0000-4000-8000-00000000000B", "").status(200).
		json(`{"face_id":"0000000a-0000-4000-8000-00000000000b","create_time":"2026-05-01T00:00:00.123Z","lists":[]}`)
	// An SDK descriptor is the same as its parts.
	x.call("POST", "/1/faces", `{"face_id":"`+id(2)+`","create_time":"2026-05-01T00:00:00Z","descriptor":"`+base64Of('d', 'p', 0, 0, v4, 0, 0, 0, 9, 8, 7, 6)+`"}`).status(201)
	x.call("GET", "/1/faces/"+id(2)+"?descriptor=1", "").status(200).
		json(`{"face_id":"` + id(2) + `","create_time":"2026-05-01T00:00:00.000Z","lists":[],"descriptor":` + descriptor(v4, 9, 8, 7, 6) + `}`)
}

func TestFacePut(t *testing.T) {
	x := start(t)
	x.call("PUT", "/1/faces/"+id(1), full).status(201).json(`{"face_id":"` + id(1) + `"}`)
	x.call("PUT", "/1/faces/"+id(1), full).status(200).json(`{"face_id":"` + id(1) + `"}`)
	// PUT replaces everything but the account.
	x.call("PUT", "/1/faces/"+id(1), `{"create_time":"2026-05-02T00:00:00.000Z","descriptor":`+descriptor(v4, 1, 1, 1, 1)+`}`).status(200)
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).
		json(`{"face_id":"` + id(1) + `","account_id":"aaaaaaaa-0000-4000-8000-000000000000","create_time":"2026-05-02T00:00:00.000Z","lists":[],"descriptor":` + descriptor(v4, 1, 1, 1, 1) + `}`)
	x.call("PUT", "/1/faces/"+id(2), full).fault(12022, "face_id", id(1), id(2))
	x.call("PUT", "/1/faces/nobody", full).fault(12022, "id", "nobody")
}

func TestFacePatch(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	x.call("POST", "/1/faces", full).status(201)
	patch := func(body, was, is string) {
		t.Helper()
		x.call("PUT", "/1/faces/"+id(1), full).status(200)
		x.call("PATCH", "/1/faces/"+id(1), body).status(200).json(`{"face_id":"` + id(1) + `"}`)
		if was != "" && !strings.Contains(full, was) {
			t.Fatalf("%s was not there", was)
		}
		x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).json(strings.Replace(full, was, is, 1))
	}
	patch(`{}`, "", "")
	patch(`{"age":34}`, `"age":33`, `"age":34`)
	patch(`{"age":null}`, `"age":33,`, ``)
	patch(`{"gender":null}`, `"gender":1,`, ``)
	patch(`{"ethnic_group":null}`, `"ethnic_group":2,`, ``)
	patch(`{"external_id":null}`, `"external_id":"ext",`, ``)
	patch(`{"user_data":null}`, `"user_data":"data",`, ``)
	patch(`{"user_data":""}`, `"user_data":"data",`, ``)
	patch(`{"avatar":null}`, `"avatar":"http://a/b",`, ``)
	patch(`{"event_id":null}`, `"event_id":"eeeeeeee-0000-4000-8000-000000000000",`, ``)
	patch(`{"event_id":"`+id(5)+`"}`, `eeeeeeee-0000-4000-8000-000000000000`, id(5))
	patch(`{"create_time":"2026-05-02T00:00:00Z"}`, `2026-05-01`, `2026-05-02`)
	patch(`{"lists":["`+id(9)+`","`+id(9)+`"]}`, `"lists":[]`, `"lists":["`+id(9)+`"]`)
	patch(`{"descriptor":`+descriptor(v4, 4, 3, 2, 1)+`}`, base64Of(1, 2, 3, 4), base64Of(4, 3, 2, 1))
	patch(`{"face_id":"`+id(1)+`","account_id":"aaaaaaaa-0000-4000-8000-000000000000"}`, "", "")
	x.call("PATCH", "/1/faces/"+id(1), `{"descriptor":null}`).fault(12022, "descriptor")
	x.call("PATCH", "/1/faces/"+id(1), `{"create_time":null}`).fault(12022, "create_time")
	x.call("PATCH", "/1/faces/"+id(1), `{"face_id":"`+id(2)+`"}`).fault(12022, "face_id", id(2))
	x.call("PATCH", "/1/faces/"+id(1), `{"account_id":"`+id(2)+`"}`).fault(12022, "account_id", id(2))
	x.call("PATCH", "/1/faces/"+id(2), `{}`).fault(22004, id(2))
	x.call("PATCH", "/1/faces/nobody", `{}`).fault(22004, "id", "nobody")
}

func TestFaceDelete(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/faces", full).status(201)
	gone := x.call("DELETE", "/1/faces/"+id(1), "").status(204)
	if len(gone.body) > 0 {
		t.Errorf("204 with a body: %q", gone.body)
	}
	x.call("DELETE", "/1/faces/"+id(1), "").fault(22004, id(1))
	x.call("GET", "/1/faces/"+id(1), "").fault(22004, id(1))
	x.call("POST", "/1/faces", full).status(201)
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).json(full)
}

// TestFacePages reads all pages and checks that each face is on them once, in the
// order of IDs.
func TestFacePages(t *testing.T) {
	x := start(t)
	for _, n := range []int{5, 3, 11, 1, 7, 2, 8, 4, 10, 9, 6, 12} {
		x.call("POST", "/1/faces", face(n, descriptor(v4, byte(n), 0, 0, 0))).status(201)
	}
	page := func(query string, want ...int) {
		t.Helper()
		got := x.call("GET", "/1/faces"+query, "").status(200).part("count", "12").at("faces").([]any)
		if len(got) != len(want) {
			t.Fatalf("%s: %d faces, want %d", query, len(got), len(want))
		}
		for i, n := range want {
			if got[i].(map[string]any)["face_id"] != id(n) {
				t.Errorf("%s: at %d is %v, want %s", query, i, got[i], id(n))
			}
		}
	}
	page("", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	page("?page=2", 11, 12)
	page("?page=3")
	page("?page=1000000000")
	page("?page_size=5&page=2", 6, 7, 8, 9, 10)
	page("?page_size=5.0&page=2.0", 6, 7, 8, 9, 10)
	page("?page_size=1000", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	x.call("GET", "/1/faces?page_size=1&descriptor=1", "").status(200).
		json(`{"count":12,"faces":[{"face_id":"` + id(1) + `","create_time":"2026-05-01T00:00:01.000Z","lists":[],"descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}]}`)
	x.call("GET", "/1/faces?page=1&page=2", "").fault(12022, "page", "must be given once", `"1"`, `"2"`)
	for _, query := range []string{"page=0", "page=-1", "page=x", "page=", "page_size=0", "page_size=1001", "page=1.5", "page=99999999999999999999", "descriptor=2", "descriptor="} {
		name, value, _ := strings.Cut(query, "=")
		x.call("GET", "/1/faces?"+query, "").fault(12022, name, value)
	}
}

func TestFacesDelete(t *testing.T) {
	x := start(t)
	for n := range 10 {
		x.call("POST", "/1/faces", face(n, descriptor(v4, byte(n), 0, 0, 0), `,"external_id":"`+strings.Repeat("e", n%3+1)+`"`)).status(201)
	}
	x.call("DELETE", "/1/faces", "").fault(12022, "filter")
	x.call("DELETE", "/1/faces?account_id="+id(1), "").fault(12022, "filter")
	x.call("DELETE", "/1/faces?page=1", "").fault(12022, "page")
	x.call("DELETE", "/1/faces?external_ids=", "").status(200).json(`{"deleted":0}`)
	x.call("DELETE", "/1/faces?external_ids=e&external_ids=eee", "").status(200).json(`{"deleted":7}`)
	x.call("DELETE", "/1/faces?external_ids=e&external_ids=eee", "").status(200).json(`{"deleted":0}`)
	x.call("GET", "/1/faces", "").status(200).part("count", "3")
	x.call("DELETE", "/1/faces?face_ids="+id(1)+","+id(0)+","+id(77), "").status(200).json(`{"deleted":1}`)
}
