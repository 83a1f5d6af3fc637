package server_test

import (
	"net/http"
	"strings"
	"testing"

	"nearside/internal/access"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// boundLists is a server with a key that is bound to the lists 1 and 2. Face 1 is in list 1,
// face 2 in lists 1 and 3, face 3 in list 3, and face 4 in none. There are an event and an
// attribute.
type boundLists struct {
	*service
	admin, bound string
}

func startBoundLists(t *testing.T, change ...func(*settings)) *boundLists {
	t.Helper()
	r := newKeyring()
	bound := r.add(access.Key{Name: "bound", Roles: []access.Role{access.Write}, Lists: []matcher.ID{
		testkit.Must(matcher.ParseID(id(2))), testkit.Must(matcher.ParseID(id(1))),
	}})
	x := &boundLists{startWithKeys(t, r, change...), r.secrets["admin"], bound}
	for _, n := range []int{1, 2, 3} {
		x.call("POST", "/1/lists", `{"list_id":"`+id(n)+`","user_data":"list"}`).status(201)
	}
	for n, lists := range [][]int{{1}, {1, 3}, {3}, {}} {
		x.call("PUT", "/1/faces/"+id(n+1), face(n+1, descriptor(v4, 1, 2, 3, byte(n+1)), `,"external_id":"x","lists":`+idList(lists...))).status(201)
	}
	x.call("POST", "/1/events", event(5, `,"external_id":"x","track_id":"t"`)).status(201)
	x.call("PUT", "/1/attributes/"+id(6), `{"descriptor":`+descriptor(v4, 1, 2, 3, 6)+`}`).status(201)
	return x
}

// idList returns a list of IDs in JSON.
func idList(numbers ...int) string {
	texts := []string{}
	for _, n := range numbers {
		texts = append(texts, `"`+id(n)+`"`)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// as sends a request with the bound key.
func (x *boundLists) as(method, url, body string, headers ...string) *answer {
	x.Helper()
	return x.call(method, url, body, append(headers, "Authorization", "Bearer "+x.bound)...)
}

// lists checks the lists of a face, as the admin sees them.
func (x *boundLists) lists(n int, want ...int) {
	x.Helper()
	x.call("GET", "/1/faces/"+id(n), "").status(200).part("lists", idList(want...))
}

// TestListsOfReads checks that only faces in the lists of the key exist for it, and only these
// lists.
func TestListsOfReads(t *testing.T) {
	x := startBoundLists(t)
	other := id(3)
	x.as("GET", "/1/faces/"+id(1), "").status(200).part("lists", idList(1))
	x.as("GET", "/1/faces/"+id(2)+"?descriptor=1", "").status(200).part("lists", idList(1)).lacks(other)
	for _, n := range []int{3, 4, 9} {
		x.as("GET", "/1/faces/"+id(n), "").fault(22004, id(n))
	}
	x.as("GET", "/1/events/"+id(5), "").fault(22007)
	x.as("GET", "/1/attributes/"+id(6), "").fault(22005)
	x.as("GET", "/1/faces", "").status(200).part("count", "2").part("faces.1.lists", idList(1)).lacks(other)
	x.as("GET", "/1/faces?external_ids=x&page_size=1", "").status(200).part("count", "2")
	x.as("GET", "/1/faces?after="+id(1), "").status(200).part("faces.0.lists", idList(1))
	x.as("GET", "/1/faces?lists="+id(1)+","+id(2), "").status(200).part("count", "2")
	x.as("GET", "/1/faces?list_id="+id(2), "").status(200).part("count", "0")
	x.as("GET", "/1/faces?lists=[]", "").status(200).part("count", "0")
	x.as("GET", "/1/faces?list_id="+other, "").fault(12026, "list_id", other, "bound")
	x.as("GET", "/1/faces?lists="+id(1)+","+other, "").fault(12026, "lists[1]", other)
	x.as("POST", "/1/faces/find", `{}`).status(200).part("count", "2")
	x.as("POST", "/1/faces/find", `{"filters":{"list_id":"`+other+`"}}`).fault(12026, "filters.list_id", other)
	x.as("POST", "/1/faces/find", `{"filters":{"list_id":"`+id(1)+`","lists":["`+other+`"]}}`).fault(12026, "filters.lists[0]", other)
	for _, resource := range []string{"events", "attributes"} {
		x.as("GET", "/1/"+resource, "").status(200).part("count", "0")
		x.as("POST", "/1/"+resource+"/find", `{}`).status(200).part("count", "0")
	}
	lines := x.as("GET", "/1/export", "").status(200).lacks(other)
	if n := strings.Count(string(lines.body), "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, lines.body)
	}
	x.as("GET", "/1/export?list_id="+other, "").fault(12026, other)
	if got := x.as("GET", "/1/export?origin=events", "").status(200); len(got.body) > 0 {
		t.Errorf("export: %s", got.body)
	}
	x.as("GET", "/1/lists", "").status(200).part("count", "2").part("lists.0.list_id", `"`+id(1)+`"`).part("lists.0.face_count", "2").lacks(other)
	x.as("GET", "/1/lists?page=2&page_size=1", "").status(200).part("count", "2").part("lists.0.list_id", `"`+id(2)+`"`)
	x.as("GET", "/1/lists?page=3&page_size=1", "").status(200).part("lists", "[]")
	x.as("GET", "/1/lists?after="+id(1), "").status(200).part("lists.0.list_id", `"`+id(2)+`"`)
	x.as("GET", "/1/lists/"+id(1), "").status(200)
	x.as("GET", "/1/lists/"+other, "").fault(12026, other)
	x.as("GET", "/1/lists/"+id(99), "").fault(12026, id(99)) // whether it exists or not
}

// TestListsOfMatches checks matches by the key.
func TestListsOfMatches(t *testing.T) {
	x := startBoundLists(t)
	given := givenDescriptor(descriptor(v4, 1, 2, 3, 3))
	match := func(reference, filters string, headers ...string) *answer {
		t.Helper()
		target := "lists"
		if !strings.Contains(filters, `"faces"`) {
			target = "similarity" // only faces have lists
		}
		return x.as("POST", "/1/matcher/faces?explain=1", matchBody(reference, `{"filters":{`+filters+`},"targets":["`+target+`"]}`), headers...)
	}
	one, other := `"origin":"faces","list_id":"`+id(1)+`"`, id(3)
	both := `[{"face":{"face_id":"` + id(2) + `","lists":` + idList(1) + `}},{"face":{"face_id":"` + id(1) + `","lists":` + idList(1) + `}}]`
	match(given, one).status(201).part("0.matches.0.result", both).part("0.matches.0.plan.rows_selected", "2").lacks(other)
	match(given, `"origin":"faces","lists":`+idList(2, 1)).status(201).part("0.matches.0.result", both)
	lines := match(given, one, "Accept", "application/x-ndjson").status(201).lacks(other)
	if n := strings.Count(string(lines.body), `"lists":`+idList(1)); n != 2 {
		t.Errorf("%d rows: %s", n, lines.body)
	}
	match(given, `"origin":"faces"`).fault(12026, "candidates[0].filters", "bound")
	match(given, `"origin":"faces","lists":[]`).fault(12026, "candidates[0].filters")
	match(given, `"origin":"faces","list_id":"`+other+`"`).fault(12026, "candidates[0].filters.list_id", other)
	match(given, `"origin":"faces","lists":`+idList(1, 3)).fault(12026, "candidates[0].filters.lists[1]", other)
	match(given, one+`,"lists":`+idList(3)).fault(12026, "candidates[0].filters.lists[0]")
	match(given, `"origin":"events"`).status(201).part("0.matches.0.result", "[]")
	match(given, `"origin":"attributes"`).status(201).part("0.matches.0.result", "[]")
	named := func(kind, text string) string { return `{"type":"` + kind + `","id":"` + text + `"}` }
	match(storedFace(2), one).status(201).part("0.matches.0.result", both)
	for _, n := range []int{3, 4} {
		match(storedFace(n), one).fault(22004, "references[0]", id(n))
	}
	match(named("event", id(5)), one).fault(22007, "references[0]", id(5))
	match(named("attribute", id(6)), one).fault(22005, "references[0]", id(6))
	if found := match(named("face_external_id", "x"), one).status(201).value().([]any); len(found) != 2 {
		t.Errorf("the key stands for %d faces", len(found))
	}
	for _, kind := range []string{"event_external_id", "event_track_id"} {
		got := match(named(kind, map[string]string{"event_external_id": "x", "event_track_id": "t"}[kind]), one).status(201)
		if reference := got.at("0.reference").(map[string]any); reference["object_id"] != nil {
			t.Errorf("%s stands for %v", kind, reference)
		}
	}
	match(`{"type":"together","id":"t","references":[`+storedFace(1)+`,`+storedFace(3)+`]}`, one).fault(22004, "references[0].references[1]", id(3))
	cross := func(references, candidates string) *answer {
		t.Helper()
		return x.as("POST", "/1/crossmatcher/faces", `{"references":{"filters":{`+references+`}},"candidates":{"filters":{`+candidates+`}},"targets":["lists"]}`)
	}
	if found := cross(one, one).status(201).lacks(other).value().([]any); len(found) != 2 {
		t.Errorf("the cross match has %d references", len(found))
	}
	cross(`"origin":"faces"`, one).fault(12026, "references.filters")
	cross(one, `"origin":"faces"`).fault(12026, "candidates.filters")
	cross(one, `"origin":"faces","list_id":"`+other+`"`).fault(12026, "candidates.filters.list_id")
	cross(`"origin":"events"`, one).status(201).json("[]")
	x.as("POST", "/1/matcher/raw", matchBody(given, given)).status(201)
}

// TestListsOfWrites checks that writes go into the lists of the key, and that it can neither
// change other lists nor delete a face.
func TestListsOfWrites(t *testing.T) {
	x := startBoundLists(t)
	other, data := id(3), descriptor(v4, 9, 9, 9, 9)
	with := func(n int, lists ...int) string { return face(n, data, `,"lists":`+idList(lists...)) }

	// Creating.
	x.as("POST", "/1/faces", face(10, data)).status(201)
	x.lists(10, 1, 2)
	x.as("POST", "/1/faces", with(11, 2)).status(201)
	x.lists(11, 2)
	x.as("POST", "/1/faces", with(12, 1, 3)).fault(12026, "lists[1]", other)
	x.as("POST", "/1/faces", with(12)).fault(12026, "lists: must have at least one list")
	x.as("POST", "/1/faces", with(3, 1)).fault(22003, id(3))
	x.as("POST", "/1/events", event(13)).fault(12026, "bound")
	x.as("PUT", "/1/attributes/"+id(13), `{"descriptor":`+data+`}`).fault(12026, "bound")

	// Replacing keeps the lists that the key does not see.
	x.as("PUT", "/1/faces/"+id(2), with(2, 2)).status(200)
	x.lists(2, 2, 3)
	x.as("PUT", "/1/faces/"+id(2), face(2, data)).status(200)
	x.lists(2, 1, 2, 3)
	for _, n := range []int{3, 4} {
		x.as("PUT", "/1/faces/"+id(n), with(n, 1)).fault(12026, id(n), "none of the lists")
	}
	x.as("PUT", "/1/faces/"+id(12), with(12, 1)).status(201)

	// Changing.
	x.as("PATCH", "/1/faces/"+id(2), `{"age":7}`).status(200)
	x.lists(2, 1, 2, 3)
	x.as("PATCH", "/1/faces/"+id(2), `{"lists":`+idList(1)+`}`).status(200)
	x.lists(2, 1, 3)
	x.as("PATCH", "/1/faces/"+id(2), `{"lists":`+idList(1, 3)+`}`).fault(12026, "lists[1]", other)
	x.as("PATCH", "/1/faces/"+id(3), `{"age":7}`).fault(22004, id(3))
	x.as("PATCH", "/1/faces/"+id(12), `{"lists":null}`).status(200) // unlinks it
	x.lists(12)
	x.as("PATCH", "/1/faces/"+id(12), `{"age":7}`).fault(22004)

	// Linking.
	link := func(action string, list, n int) *answer {
		t.Helper()
		return x.as("PATCH", "/1/linker", `{"action":"`+action+`","list_id":"`+id(list)+`","face_ids":["`+id(n)+`"]}`)
	}
	link("attach", 2, 1).status(204)
	x.lists(1, 1, 2)
	link("detach", 2, 1).status(204)
	link("attach", 3, 1).fault(12026, other)
	link("detach", 3, 2).fault(12026, other)
	link("attach", 1, 3).fault(22004, id(3))

	// Lists.
	x.as("POST", "/1/lists", `{}`).fault(12026, "bound")
	x.as("POST", "/1/lists", `{"list_id":"`+id(99)+`"}`).fault(12026, id(99))
	x.as("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`).fault(22001)
	x.as("PATCH", "/1/lists/"+id(1), `{"user_data":"new"}`).status(200)
	x.as("PATCH", "/1/lists/"+other, `{"user_data":"new"}`).fault(12026, other)
	x.as("DELETE", "/1/lists/"+other, "").fault(12026, other)
	x.as("DELETE", "/1/lists/"+other+"?with_faces=1", "").fault(12026, other)
	x.call("GET", "/1/lists/"+other, "").status(200).part("face_count", "2")

	// Importing.
	lines := strings.Join([]string{
		face(20, data), with(21, 2), with(22, 3), with(23), face(3, data), face(2, data), with(2, 2), `{"face_id":"` + id(4) + `","descriptor":` + data + `,"lists":` + idList(1) + `}`,
	}, "\n")
	got := x.as("POST", "/1/import", lines).status(200).part("accepted", "4").part("rejected", "4")
	for i, line := range []string{"3", "4", "5", "8"} {
		got.part("errors."+itoa(i)+".line", line)
	}
	x.lists(20, 1, 2)
	x.lists(21, 2)
	x.lists(2, 2, 3)
	x.as("POST", "/1/import?list_id="+id(1), face(24, data)+"\n"+with(25)+"\n"+with(2, 2)).status(200).part("accepted", "3")
	x.lists(24, 1)
	x.lists(25, 1)
	x.lists(2, 1, 2, 3)
	x.as("POST", "/1/import?list_id="+other, face(26, data)).fault(12026, "list_id", other)
	x.as("POST", "/1/import?origin=events", event(26)).fault(12026, "bound")
}

// TestListsOfDeletes checks that deletes by the key only unlink.
func TestListsOfDeletes(t *testing.T) {
	x := startBoundLists(t)
	x.as("DELETE", "/1/faces/"+id(2), "").status(204)
	x.lists(2, 3)
	x.as("DELETE", "/1/faces/"+id(2), "").fault(22004)
	for _, n := range []int{3, 4} {
		x.as("DELETE", "/1/faces/"+id(n), "").fault(22004, id(n))
	}
	x.as("DELETE", "/1/events/"+id(5), "").fault(22007)
	x.as("DELETE", "/1/attributes/"+id(6), "").fault(22005)
	x.as("DELETE", "/1/faces?list_id="+id(3), "").fault(12026, id(3))
	x.as("DELETE", "/1/faces?external_ids=x", "").status(200).json(`{"deleted":1}`)
	x.lists(1)
	x.lists(3, 3)
	x.as("POST", "/1/faces/delete", `{"filters":{"external_ids":["x"]}}`).status(200).json(`{"deleted":0}`)
	x.as("POST", "/1/events/delete", `{"filters":{"external_ids":["x"]}}`).status(200).json(`{"deleted":0}`)
	x.as("DELETE", "/1/attributes?age__gte=0", "").status(200).json(`{"deleted":0}`)
	x.call("GET", "/1/faces", "").status(200).part("count", "4")
	x.call("GET", "/1/events", "").status(200).part("count", "1")

	// A list is emptied, and stays.
	attach := func() {
		t.Helper()
		for _, list := range []int{1, 2} {
			x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(list)+`","face_ids":`+idList(1, 3)+`}`).status(204)
		}
	}
	attach()
	x.as("DELETE", "/1/lists/"+id(1), "").status(204)
	x.lists(1, 2)
	x.lists(3, 2, 3)
	x.as("GET", "/1/lists/"+id(1), "").status(200).part("face_count", "0")
	attach()
	x.as("DELETE", "/1/lists/"+id(1)+"?with_faces=1", "").status(204)
	x.lists(1)
	x.lists(3, 3)
	x.call("DELETE", "/1/lists/"+id(2), "").status(204) // by the admin
	x.as("GET", "/1/lists/"+id(2), "").fault(22002)
	x.as("DELETE", "/1/lists/"+id(2), "").fault(22002)
	x.as("POST", "/1/faces", face(30, descriptor(v4, 1, 2, 3, 4))).fault(22002, "lists[1]", id(2))
	x.as("POST", "/1/lists", `{"list_id":"`+id(2)+`"}`).status(201)
	x.as("POST", "/1/faces", face(30, descriptor(v4, 1, 2, 3, 4))).status(201)
}

// TestListsHideOthers checks that refusals do not say how much others store.
func TestListsHideOthers(t *testing.T) {
	x := startBoundLists(t, func(s *settings) { s.memory = 6000 })
	for n := 100; ; n++ {
		if x.call("POST", "/1/faces", face(n, descriptor(v4, 1, 2, 3, 4))).response.StatusCode == http.StatusInsufficientStorage {
			break
		}
	}
	x.call("POST", "/1/faces", face(99, descriptor(v4, 1, 2, 3, 4))).fault(12052, "used")
	x.as("POST", "/1/faces", face(99, descriptor(v4, 1, 2, 3, 4))).fault(12052, "limits.memory").lacks("used")
}

// TestHiddenListOfAccount checks that errors do not name a list that the key does not see.
func TestHiddenListOfAccount(t *testing.T) {
	x := startBoundLists(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(8)+`","user_data":"list","account_id":"`+other.account+`"}`).status(201)
	x.call("PUT", "/1/faces/"+id(7), face(7, descriptor(v4, 1, 2, 3, 7), `,"lists":`+idList(1, 8))).status(201)
	account := `"account_id":"` + attacker.account + `"`
	line := face(7, descriptor(v4, 1, 2, 3, 8), ","+account)
	a := x.as("POST", "/1/import", line).status(200).part("rejected", "1").lacks(id(8))
	if !strings.Contains(string(a.body), "another list of the face belongs to another account") {
		t.Errorf("%s", a.body)
	}
}
