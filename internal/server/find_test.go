package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nearside/matcher/store"
)

// found returns the IDs of the objects of a page.
func found(a *answer, origin string) (ids []string) {
	for _, o := range a.status(200).at(origin).([]any) {
		ids = append(ids, o.(map[string]any)[origin[:len(origin)-1]+"_id"].(string))
	}
	return ids
}

// TestPagesAfterID reads pages of each resource that has pages. Each page begins after the
// last ID of the previous page. The test deletes the objects of each page before it reads
// the next page.
func TestPagesAfterID(t *testing.T) {
	x := start(t)
	makers := map[string]func(n int){
		"faces": func(n int) {
			x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","descriptor":%s}`, id(n), descriptor(v4, 0, 0, 0, 0))).status(201)
		},
		"events": func(n int) {
			x.call("POST", "/1/events", fmt.Sprintf(`{"event_id":"%s","face_descriptor":%s}`, id(n), descriptor(v4, 0, 0, 0, 0))).status(201)
		},
		"attributes": func(n int) {
			x.call("PUT", "/1/attributes/"+id(n), fmt.Sprintf(`{"descriptor":%s}`, descriptor(v4, 0, 0, 0, 0))).status(201)
		},
		"lists": func(n int) { x.call("POST", "/1/lists", `{"list_id":"`+id(n)+`"}`).status(201) },
	}
	for origin, put := range makers {
		var want, got []string
		for n := 1; n <= 30; n++ {
			put(n)
			want = append(want, id(n))
		}
		path := "/1/" + origin + "?page_size=7&after="
		for after := "00000000-0000-0000-0000-000000000000"; ; {
			a := x.call("GET", path+after, "")
			page := found(a, origin)
			if strings.Contains(string(a.body), `"count"`) {
				t.Errorf("%s: a page after an ID has a count: %s", origin, a.body)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1]
			for _, id := range page { // delete the rows that were read
				x.call("DELETE", "/1/"+origin+"/"+id, "").status(204)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the pages have %v, want %v", origin, got, want)
		}
		x.call("GET", path+"x", "").fault(12022, "after", `"x"`, "UUID")
		x.call("GET", path+id(1)+"&page=1", "").fault(12022, "after", id(1), "page 1")
		x.call("GET", path+id(1)+"&after="+id(2), "").fault(12022, "after", "must be given once", id(1), id(2))
		if origin == "lists" {
			x.call("GET", "/1/lists?order=id", "").fault(12022, "order", "unknown")
			continue
		}
		x.call("GET", path+id(1)+"&order=create_time_asc", "").fault(12022, "after", id(1), "create_time_asc", "order id")
		x.call("GET", path+id(1)+"&order=id", "").status(200)
	}
}

// TestFind compares the results of queries with those of bodies.
func TestFind(t *testing.T) {
	x := start(t)
	days := []int{3, 1, 2, 2, 1}
	for n, day := range days {
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","create_time":"2026-05-0%dT00:00:00Z","external_id":"e, %d","age":%d,"descriptor":%s}`,
			id(n+1), day, n%2, 20+n, descriptor(v4, 0, 0, 0, 0))).status(201)
	}
	same := func(query, body string, want ...int) {
		t.Helper()
		a, b := x.call("GET", "/1/faces?"+query, "").status(200), x.call("POST", "/1/faces/find", body).status(200)
		if string(a.body) != string(b.body) {
			t.Errorf("%s: %s\n%s: %s", query, a.body, body, b.body)
		}
		var ids []string
		for _, n := range want {
			ids = append(ids, id(n))
		}
		if got := found(b, "faces"); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", body, got, ids)
		}
	}
	same("", `{}`, 1, 2, 3, 4, 5)
	same("", `{"filters":{}}`, 1, 2, 3, 4, 5)
	same("", `{"filters":{"origin":"faces"}}`, 1, 2, 3, 4, 5)
	same("", `{"filters":null,"page":null,"page_size":null,"after":null,"order":null,"targets":null}`, 1, 2, 3, 4, 5)
	same("after="+id(2)+"&page_size=2", `{"after":"`+id(2)+`","page_size":2,"page":null,"order":null}`, 3, 4)
	same("order=id", `{"order":"id"}`, 1, 2, 3, 4, 5)
	same("order=create_time_asc", `{"order":"create_time_asc"}`, 2, 5, 3, 4, 1)
	same("order=create_time_desc", `{"order":"create_time_desc"}`, 1, 3, 4, 2, 5)
	same("order=create_time_desc&page=2&page_size=2", `{"order":"create_time_desc","page":2.0,"page_size":2}`, 4, 2)
	same("external_ids=%5B%22e,+1%22%5D", `{"filters":{"external_ids":["e, 1"]}}`, 2, 4)
	same("external_ids=%5B%5D", `{"filters":{"external_ids":[]}}`)
	same("after="+id(2)+"&page_size=2", `{"after":"`+strings.ToUpper(id(2))+`","page_size":2}`, 3, 4)
	same("after="+id(9), `{"after":"`+id(9)+`"}`)
	same("age__gte=22.0&targets=age,external_id", `{"filters":{"age__gte":22.0},"targets":["external_id","age"]}`, 3, 4, 5)
	same("targets=&page_size=1", `{"targets":[],"page_size":1}`, 1)
	x.call("GET", "/1/faces?targets=age&targets=%5B%22avatar%22%5D&page_size=1", "").json(`{"count":5,"faces":[{"face_id":"` + id(1) + `","age":20}]}`)
	x.call("POST", "/1/faces/find?descriptor=1", `{"page_size":1}`).part("faces.0.descriptor.version", "4")

	refused := func(body string, details ...string) {
		t.Helper()
		x.call("POST", "/1/faces/find", body).fault(12022, details...)
	}
	refused(`{"filters":{"origin":"events"}}`, "filters.origin", `"events"`, "faces")
	refused(`{"filters":{"tags":[]}}`, "filters.tags", "unknown filter of faces")
	refused(`{"filters":{"external_ids":null}}`, "filters.external_ids", "null")
	refused(`{"limit":null}`, "limit", "unknown field")
	refused(`{"page":null,"page":1}`, "page", "twice")
	refused(`null`, "body", "null")
	refused(`{"filters":{"external_ids":"a,b"}}`, "filters.external_ids", "array")
	refused(`{"filter":{}}`, "filter", "unknown field")
	refused(`{"page":0}`, "page", "0", "from 1 to ")
	refused(`{"page_size":1001}`, "page_size", "1001", "from 1 to 1000")
	refused(`{"page":1,"after":"`+id(1)+`"}`, "after", id(1), "page 1")
	refused(`{"order":"create_time_asc","after":"`+id(1)+`"}`, "after", "create_time_asc")
	refused(`{"order":"similarity"}`, "order", `"similarity"`, "id, create_time_asc, create_time_desc")
	refused(`{"targets":["age","distance"]}`, "targets[1]", `"distance"`, "face_id, account_id")
	refused(`{"targets":["descriptor"]}`, "targets[0]", `"descriptor"`)
	x.call("GET", "/1/faces?targets=age,nose", "").fault(12022, "targets[1]", `"nose"`, "face_id")
	x.call("GET", "/1/faces?order=age", "").fault(12022, "order", `"age"`, "create_time_desc")
	x.call("GET", "/1/faces?order=id&order=id", "").fault(12022, "order", "must be given once")
	x.call("POST", "/1/faces/find?page=1", `{}`).fault(12022, "page", "unknown query parameter")
	x.call("POST", "/1/faces/find", ``).fault(12001)
	x.call("GET", "/1/faces/find", "").fault(22004, "find")
	x.call("BREW", "/1/faces/find", "").fault(12011)
}

// TestDeleteFound deletes by a body. It checks that a filter is required, and that
// objects of other accounts stay.
func TestDeleteFound(t *testing.T) {
	x := start(t)
	mine, other := "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
	for n := range 6 {
		account := []string{mine, other}[n%2]
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","account_id":"%s","external_id":"e, %d","descriptor":%s}`, id(n+1), account, n/2, descriptor(v4, 0, 0, 0, 0))).status(201)
		x.call("POST", "/1/events", fmt.Sprintf(`{"event_id":"%s","account_id":"%s","tags":["e, %d"],"face_descriptor":%s}`, id(n+1), account, n/2, descriptor(v4, 0, 0, 0, 0))).status(201)
	}
	for path, filter := range map[string]string{"/1/faces": "external_ids", "/1/events": "tags"} {
		for _, filters := range []string{`{}`, `{"origin":"` + path[3:] + `"}`, `{"account_id":"` + mine + `"}`} {
			x.call("POST", path+"/delete", `{"filters":`+filters+`}`).fault(12022, "filters: must have a filter besides account_id")
		}
		x.call("POST", path+"/delete", `{}`).fault(12022, "filters", "is missing")
		x.call("POST", path+"/delete", `{"filters":{"account_id":"`+other+`","`+filter+`":["e, 0"]}}`).status(200).json(`{"deleted":1}`)
		x.call("POST", path+"/delete?account_id="+mine, `{"filters":{"account_id":"`+other+`","`+filter+`":["e, 1"]}}`).fault(31000, "filters.account_id", other, mine)
		x.call("POST", path+"/find?account_id="+mine, `{"filters":{"account_id":"`+other+`"}}`).fault(31000, "filters.account_id", other, mine)
		x.call("POST", path+"/delete?account_id="+mine, `{"filters":{"`+filter+`":["e, 1","e, 2"]}}`).status(200).json(`{"deleted":2}`)
		x.call("POST", path+"/delete", `{"filters":{"`+filter+`":[]}}`).status(200).json(`{"deleted":0}`)
		if got := found(x.call("POST", path+"/find", `{}`), path[3:]); !slices.Equal(got, []string{id(1), id(4), id(6)}) {
			t.Errorf("%s: %v are left", path, got)
		}
	}
}

// TestDeleteMany deletes more objects than a batch has, by a filter and with a list.
func TestDeleteMany(t *testing.T) {
	x := start(t)
	const faces = 2*store.DeleteBatch + 5000
	var lines strings.Builder
	for n := range faces {
		fmt.Fprintf(&lines, `{"face_id":"%s","age":%d,"lists":["%s"],"descriptor":%s}`+"\n", id(n+1), n%5, id(9), descriptor(v4, 0, 0, 0, 0))
	}
	x.call("POST", "/1/import", lines.String()).status(200).part("accepted", itoa(faces))
	x.call("POST", "/1/faces/delete", `{"filters":{"age__gte":2}}`).status(200).json(fmt.Sprintf(`{"deleted":%d}`, faces/5*3))
	x.call("GET", "/1/faces?page_size=1", "").part("count", itoa(faces/5*2)).part("faces.0.age", "0")
	x.call("POST", "/1/import", lines.String()).status(200)
	x.call("DELETE", "/1/lists/"+id(9)+"?with_faces=1", "").status(204)
	x.call("GET", "/1/faces?page_size=1", "").part("count", "0")
	x.call("GET", "/1/lists/"+id(9), "").fault(22002)
}
