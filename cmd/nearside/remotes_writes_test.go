package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// cross: a cross match is answered if one server has both sides, and refused otherwise.
func (w *trio) cross(t *testing.T) {
	f := func(left, right askedSet, place string, want int) {
		t.Helper()
		body := map[string]any{"references": map[string]any{"filters": left.Filters}, "candidates": map[string]any{"filters": right.Filters}, "limit": 3, "threshold": 0.1}
		for _, account := range []string{"", accountA} {
			answer, err := ask(w.here, "POST", "/1/crossmatcher/faces?explain=1&"+strings.TrimSuffix("account_id="+account, "account_id="), body)
			if err != nil {
				t.Fatal(err)
			}
			code, err := answer.code()
			if err != nil || code != want {
				t.Fatalf("code %d, want %d: %v: %s", code, want, err, answer.body)
			}
			if code != 0 {
				continue
			}
			var got matchAnswer
			if err := json.Unmarshal(answer.body, &got); err != nil {
				t.Fatal(err)
			}
			s := askedSet{Filters: right.Filters, Limit: 3, Threshold: 0.1}
			if err := got.compare(w.wantCross(place, &left, &s, account), &matchRequest{Candidates: []askedSet{s}}); err != nil {
				t.Fatalf("%v: %s", err, answer.body)
			}
			for _, item := range got {
				chosen := slices.IndexFunc(item.Matches[0].Plan.Matchers, func(m planMatcher) bool { return m.Chosen })
				if name := item.Matches[0].Plan.Matchers[chosen].Name; name != map[string]string{"here": "memory", "east": "east", "west": "west"}[place] {
					t.Fatalf("%s answered", name)
				}
			}
		}
	}
	f(faces(), faceList(listHere), "here", 0)
	f(faces(), origin("attributes"), "here", 0)
	f(faceList(listEast), faceList(listEast), "east", 0)
	f(faceList(listEast), faceList(listBoth), "east", 0)
	f(faceList(listWest), origin("events"), "west", 0)
	f(origin("events"), origin("events"), "west", 0)
	f(faces(), faceList(listEast), "", 31011)
	f(faceList(listEast), faces(), "", 31011)
	f(faceList(listEast), faceList(listWest), "", 31011)
	f(faceList(listEast), origin("events"), "", 31011)
}

func (w *world) wantCross(place string, left, right *askedSet, account string) []wantItem {
	var items []wantItem
	for _, o := range w.objects {
		if slices.Contains(o.at, place) && left.passes(o) && o.visible(account) && o.face != "" {
			items = append(items, wantItem{
				wantReference{strings.TrimSuffix(o.origin, "s"), o.id, "", o.face}, [][]wantRow{w.rows(place, o.face, right, account, false)},
			})
		}
	}
	slices.SortFunc(items, func(a, b wantItem) int { return cmp.Compare(a.reference.id, b.reference.id) })
	return items
}

// writes: writes of data that a remote owns are refused and change nothing.
func (w *trio) writes(t *testing.T) {
	descriptor := map[string]any{"version": 1001, "data": []byte("0123456789abcdef")}
	face := func(lists ...string) map[string]any { return map[string]any{"descriptor": descriptor, "lists": lists} }
	mine := w.someAt("faces", "here")
	line := string(mustJSON(t, face(listEast))) + "\n"
	event := w.someAt("events", "west")
	refused := func(owner, method, path string, body any) {
		t.Helper()
		status, text, err := w.here.call(method, path, body)
		if err != nil || status != 403 || !strings.Contains(string(text), `"error_code":12026`) || !strings.Contains(string(text), owner) {
			t.Errorf("%s %s: %d %s %v", method, path, status, text, err)
		}
	}
	before := w.export(t)
	refused("remote east", "POST", "/1/faces", face(listEast))
	refused("remote east, west", "POST", "/1/faces", face(listHere, listBoth))
	refused("remote east", "PUT", "/1/faces/"+mine.id, face(listEast))
	refused("remote west", "PUT", "/1/faces/"+id(9, 9), face(listWest))
	refused("remote east", "PATCH", "/1/faces/"+mine.id, map[string]any{"lists": []string{listEast}})
	refused("remote east", "DELETE", "/1/faces?list_id="+listEast, nil)
	refused("remote east", "PATCH", "/1/linker", map[string]any{"action": "attach", "list_id": listEast, "face_ids": []string{mine.id}})
	refused("remote east", "PATCH", "/1/linker", map[string]any{"action": "detach", "list_id": listEast, "face_ids": []string{mine.id}})
	refused("remote east", "POST", "/1/lists", map[string]any{"list_id": listEast})
	refused("remote east", "PATCH", "/1/lists/"+listEast, map[string]any{"user_data": "x"})
	refused("remote west", "DELETE", "/1/lists/"+listWest, nil)
	refused("remote west", "DELETE", "/1/lists/"+listWest+"?with_faces=1", nil)
	refused("remote east", "POST", "/1/import?origin=faces&list_id="+listEast, line)
	refused("remote west", "POST", "/1/import?origin=events", string(mustJSON(t, event.json()))+"\n")
	refused("remote west", "POST", "/1/events", map[string]any{"face_descriptor": descriptor})
	refused("remote west", "POST", "/1/events", []any{map[string]any{"face_descriptor": descriptor}})
	refused("remote west", "DELETE", "/1/events/"+event.id, nil)
	refused("remote west", "DELETE", "/1/events?sources=cam", nil)
	var imported struct {
		Accepted, Rejected int
		Errors             []struct {
			Line   int
			Detail string
		}
	}
	w.here.mustCall(t, "POST", "/1/import?origin=faces", line+string(mustJSON(t, mine.json()))+"\n", &imported)
	if imported.Accepted != 1 || imported.Rejected != 1 || len(imported.Errors) != 1 || !strings.Contains(imported.Errors[0].Detail, "remote east") {
		t.Errorf("%+v", imported)
	}
	if after := w.export(t); !slices.Equal(before, after) {
		t.Errorf("before:\n%q\nafter:\n%q", before, after)
	}

	var page struct{ Count int }
	w.here.mustCall(t, "GET", "/1/faces?list_id="+listHere, nil, &page)
	if page.Count != 15 {
		t.Errorf("%d faces in the local list, want 15", page.Count)
	}
	extra := &object{at: []string{"here"}, origin: "faces", id: id(9, 1), face: "abcdefghijklmnop", data: "written here", lists: []string{listHere}}
	if status, text, err := w.here.call("PUT", "/1/faces/"+extra.id, extra.json()); err != nil || status != 201 {
		t.Fatal(status, string(text), err)
	}
	w.objects = append(w.objects, extra)
	w.matchAll(t, "after a write here", &matchRequest{References: []askedReference{{Type: "face", ID: extra.id}}, Candidates: []askedSet{faceList(listHere), faceList(listEast)}})
	extra = &object{at: []string{"east"}, origin: "faces", id: id(9, 2), face: "abcdefghijklmnop", data: "written at east", lists: []string{listEast}}
	if status, text, err := w.east.call("PUT", "/1/faces/"+extra.id, extra.json()); err != nil || status != 201 {
		t.Fatal(status, string(text), err)
	}
	w.objects = append(w.objects, extra)
	w.matchAll(t, "after a write at east", &matchRequest{References: []askedReference{{Type: "face", ID: extra.id}}, Candidates: []askedSet{faceList(listHere), faceList(listEast)}})
}

// export returns all objects and lists of the server as sorted lines.
func (w *trio) export(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, path := range []string{"/1/export?origin=faces", "/1/export?origin=events", "/1/lists?page_size=1000"} {
		status, text, err := w.here.call("GET", path, nil)
		if err != nil || status != 200 {
			t.Fatal(status, string(text), err)
		}
		all = append(all, strings.Split(string(text), "\n")...)
	}
	slices.Sort(all) // the order depends on the time of writing
	return all
}
