package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
)

func TestAttributes(t *testing.T) {
	x := start(t)
	path, d := "/1/attributes/"+id(1), descriptor(v4, 1, 0, 0, 0)
	x.call("PUT", path, `{"age":3,"gender":1,"create_time":"2026-05-01T00:00:00Z","descriptor":`+d+`}`).status(201).json(`{"attribute_id":"` + id(1) + `"}`)
	want := `{"attribute_id":"` + id(1) + `","create_time":"2026-05-01T00:00:00.000Z","age":3,"gender":1`
	x.call("GET", path, "").status(200).json(want + `}`)
	x.call("GET", path+"?descriptor=1", "").status(200).json(want + `,"descriptor":` + d + `}`)
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"attributes","attribute_ids":["`+id(1)+`"],"age__lt":4}}`)).status(201).
		part("0.matches.0.result.0.attribute", want+`}`)
	x.call("PUT", path+"?ttl=1000", `{"attribute_id":"`+id(1)+`","descriptor":`+descriptor(vBody, 1, 2, 3, 4)+`}`).status(200)
	x.call("GET", path+"?descriptor=1", "").status(200).part("descriptor", descriptor(vBody, 1, 2, 3, 4))

	x.call("PUT", path, `{"attribute_id":"`+id(2)+`","descriptor":`+d+`}`).fault(12022, "attribute_id", id(2), id(1))
	x.call("PUT", path, `{}`).fault(12022, "descriptor", "is missing")
	x.call("PUT", path, `{"external_id":"x","descriptor":`+d+`}`).fault(12022, "external_id", "unknown field")
	x.call("PUT", "/1/attributes/x", `{"descriptor":`+d+`}`).fault(12022, `"x"`)
	for _, ttl := range []string{"0", "-1", "x", "", "1.5", "9999999999"} {
		x.call("PUT", path+"?ttl="+ttl, `{"descriptor":`+d+`}`).fault(12022, "ttl", ttl)
	}
	x.call("POST", path, "").fault(12011, "POST").header("Allow", "PUT, GET, HEAD, DELETE")
	x.call("GET", "/1/attributes/"+id(2), "").fault(22005, id(2))
	x.call("DELETE", path, "").status(204)
	x.call("DELETE", path, "").fault(22005, id(1))
	x.call("GET", path, "").fault(22005, id(1))
}

// TestAttributeList checks pages and deletes of attributes, by account and by expiry.
func TestAttributeList(t *testing.T) {
	x := start(t)
	mine, other := id(0xa), id(0xb)
	for n := 1; n <= 6; n++ {
		x.call("PUT", "/1/attributes/"+id(n), fmt.Sprintf(`{"account_id":"%s","age":%d,"create_time":"2026-05-0%dT00:00:00Z","descriptor":%s}`,
			[]string{mine, other}[n%2], n, 7-n, descriptor(v4, byte(n), 0, 0, 0))).status(201)
	}
	list := func(query, body string, want ...int) {
		t.Helper()
		var ids []string
		for _, n := range want {
			ids = append(ids, id(n))
		}
		if got := found(x.call("GET", "/1/attributes?"+query, ""), "attributes"); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", query, got, ids)
		}
		if got := found(x.call("POST", "/1/attributes/find", body), "attributes"); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", body, got, ids)
		}
	}
	list("", `{}`, 1, 2, 3, 4, 5, 6)
	list("age__gte=2&age__lt=4", `{"filters":{"age__gte":2,"age__lt":4}}`, 2, 3)
	list("attribute_id__gte="+id(5), `{"filters":{"attribute_id__gte":"`+id(5)+`"}}`, 5, 6)
	list("after="+id(2)+"&page_size=2", `{"after":"`+id(2)+`","page_size":2}`, 3, 4)
	list("order=create_time_asc&page_size=2", `{"order":"create_time_asc","page_size":2}`, 6, 5)
	list("account_id="+mine, `{"filters":{"account_id":"`+mine+`"}}`, 2, 4, 6)
	list("user_data=x", `{"filters":{"user_data":"x"}}`) // attributes have no such field
	x.call("GET", "/1/attributes?targets=age&page_size=1&descriptor=1", "").
		json(`{"attributes":[{"attribute_id":"` + id(1) + `","age":1,"descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}],"count":6}`)
	x.call("GET", "/1/attributes?lists="+id(1), "").fault(12022, "lists", "unknown filter of attributes")
	x.call("GET", "/1/attributes?targets=user_data", "").fault(12022, "targets[0]", "attribute_id, account_id")

	x.call("DELETE", "/1/attributes", "").fault(12022, "query: ")
	x.call("POST", "/1/attributes/delete", `{"filters":{"account_id":"`+mine+`"}}`).fault(12022, "filters: ")
	x.call("DELETE", "/1/attributes?age__lt=3&account_id="+mine, "").json(`{"deleted":1}`)
	x.call("POST", "/1/attributes/delete", `{"filters":{"attribute_ids":["`+id(1)+`","`+id(2)+`","`+id(3)+`"]}}`).json(`{"deleted":2}`)
	list("", `{}`, 4, 5, 6)
}

// TestAttributeExpires checks that an expired attribute is visible nowhere, even
// before it is deleted.
func TestAttributeExpires(t *testing.T) {
	x := start(t)
	body := func(n byte) string { return `{"descriptor":` + descriptor(v4, n, 0, 0, 0) + `}` }
	x.call("PUT", "/1/attributes/"+id(1)+"?ttl=1", body(1)).status(201)
	began := time.Now()
	x.call("PUT", "/1/attributes/"+id(2), body(2)).status(201) // the default of five minutes
	visible := func() int {
		rows := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"attributes"}}`)).status(201).at("0.matches.0.result").([]any)
		return len(rows)
	}
	if n := visible(); n != 2 && time.Since(began) < time.Second/2 {
		t.Errorf("%d attributes before the time is over", n)
	}
	for visible() > 1 {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the attribute did not expire within 20s")
		}
	}
	x.call("GET", "/1/attributes/"+id(1), "").fault(22005, id(1))
	x.call("DELETE", "/1/attributes/"+id(1), "").fault(22005, id(1))
	x.call("GET", "/1/attributes", "").part("count", "1").part("attributes.0.attribute_id", `"`+id(2)+`"`)
	x.call("DELETE", "/1/attributes?attribute_ids="+id(1), "").json(`{"deleted":0}`)
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"attribute","id":"`+id(1)+`"}`, allFaces())).fault(22005, "references[0].id", id(1))
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"attribute","id":"`+id(2)+`"}`, allFaces())).status(201)
	if x.memory.Stats().Rows[matcher.Attributes] != 2 {
		t.Error("the expired attribute was deleted already, so the checks above prove nothing")
	}
	x.call("PUT", "/1/attributes/"+id(1), body(1)).status(201) // creates a new attribute
}

// TestAttributesMove checks that an import of an export keeps the times when attributes
// expire.
func TestAttributesMove(t *testing.T) {
	x, y := start(t), start(t)
	account := id(0xa)
	x.call("PUT", "/1/attributes/"+id(1)+"?ttl=2147483647", `{"create_time":"2026-05-01T00:00:00Z","age":3,"account_id":"`+account+`","descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).status(201)
	x.call("PUT", "/1/attributes/"+id(2), `{"descriptor":`+descriptor(vBody, 5, 6, 7, 8)+`}`).status(201)
	lines := x.call("GET", "/1/export?origin=attributes", "").status(200).body
	if got := len(timesOf(t, lines)); got != 2 {
		t.Fatalf("%d attributes: %s", got, lines)
	}
	for range 2 { // a repeated import changes nothing
		y.call("POST", "/1/import?origin=attributes", string(lines)).status(200).json(`{"accepted":2,"rejected":0,"errors":[]}`)
		if moved := y.call("GET", "/1/export?origin=attributes", "").status(200).body; !bytes.Equal(moved, lines) {
			t.Errorf("%s\nwant %s", moved, lines)
		}
	}
	if mine := y.call("GET", "/1/export?origin=attributes&account_id="+account, "").status(200).body; !bytes.HasPrefix(lines, mine) || bytes.Count(mine, []byte("\n")) != 1 {
		t.Errorf("%s", mine)
	}
	// The object itself does not have the time.
	y.call("GET", "/1/attributes/"+id(1), "").json(`{"attribute_id":"` + id(1) + `","account_id":"` + account + `","create_time":"2026-05-01T00:00:00.000Z","age":3}`)
	y.call("PUT", "/1/attributes/"+id(1), `{"expire_time":"2030-01-01T00:00:00Z","descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).fault(12022, "expire_time", "unknown field")
}

// TestAttributeImportTime checks the time when the attribute of a line expires.
func TestAttributeImportTime(t *testing.T) {
	x := start(t)
	line := func(n int, more string) string {
		return fmt.Sprintf(`{"attribute_id":"%s","descriptor":%s%s}`, id(n), descriptor(v4, 1, 2, 3, 4), more) + "\n"
	}
	began := time.Now().Truncate(time.Millisecond)
	x.call("POST", "/1/import?origin=attributes", line(1, "")+line(2, `,"expire_time":null`)+line(3, `,"expire_time":"9999-12-31T23:59:59.999Z"`)+
		line(4, `,"expire_time":"2020-01-01T00:00:00Z"`)+line(5, `,"expire_time":"1970-01-01T00:00:00Z"`)+line(6, `,"expire_time":5`)).status(200).
		part("accepted", "5").part("errors", `[{"line":6,"detail":"expire_time: must be an RFC 3339 time, got 5"}]`)
	ended := time.Now()
	times := timesOf(t, x.call("GET", "/1/export?origin=attributes", "").status(200).body)
	if len(times) != 3 || times[id(3)] != time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC) {
		t.Fatalf("%v", times)
	}
	for _, n := range []int{1, 2} { // the default of five minutes
		if got := times[id(n)]; got.Before(began.Add(300*time.Second)) || got.After(ended.Add(300*time.Second)) {
			t.Errorf("%d: %v, want 300s after %v", n, got, began)
		}
	}
	// A time that is over ends an attribute that exists.
	x.call("POST", "/1/import?origin=attributes", line(3, `,"expire_time":"1970-01-01T00:00:00Z"`)).status(200).part("accepted", "1")
	x.call("GET", "/1/attributes/"+id(3), "").fault(22005, id(3))
	x.call("POST", "/1/import?origin=faces", face(1, descriptor(v4, 1, 2, 3, 4), `,"expire_time":"2030-01-01T00:00:00Z"`)).status(200).
		part("errors.0.detail", `"expire_time: unknown field"`)
}

// timesOf returns the times when the attributes of an export expire.
func timesOf(t *testing.T, lines []byte) map[string]time.Time {
	times := map[string]time.Time{}
	for line := range bytes.Lines(lines) {
		var fields struct {
			ID   string    `json:"attribute_id"`
			Time time.Time `json:"expire_time"`
		}
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		times[fields.ID] = fields.Time
	}
	return times
}
