package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"nearside/internal/oracle"
)

// event is an event in JSON with a face descriptor of v4.
func event(n int, more ...string) string {
	return fmt.Sprintf(`{"event_id":"%s","create_time":"2026-05-01T00:00:%02d.000Z","face_descriptor":%s%s}`, id(n), n%60, descriptor(v4, byte(n), 0, 0, 0), strings.Join(more, ""))
}

const wholeEvent = `{"event_id":"00000000-0000-4000-8000-000000000001","account_id":"00000000-0000-4000-8000-000000000099",
	"create_time":"2026-05-01T00:00:00.000Z","end_time":"2026-05-01T00:00:05.000Z","source":"cam-1","handler_id":"00000000-0000-4000-8000-000000000002",
	"stream_id":"00000000-0000-4000-8000-000000000003","track_id":"t","external_id":"e","user_data":"u","tags":["b","a"],
	"face_id":"00000000-0000-4000-8000-000000000004","age":33,"gender":1,"ethnic_group":2,"emotion":3,"mask":1,
	"location":{"city":"c","area":"a","district":"d","street":"s","house_number":"1","geo_position":{"longitude":1.5,"latitude":2.5}},
	"top_match":{"object_id":"00000000-0000-4000-8000-000000000005","external_id":"x","similarity":0.9},
	"meta":{"shop":{"floor":3,"name":"n"},"vip":true,"more":[1,null,{"a":"b"}]}`

func TestEvents(t *testing.T) {
	x := start(t)
	faceData, bodyData := descriptor(v4, 1, 0, 0, 0), descriptor(vBody, 0, 0, 0, 9)
	whole := wholeEvent + `,"face_descriptor":` + faceData + `,"body_descriptor":` + bodyData + `}`
	x.call("POST", "/1/events", whole).status(201).json(`{"event_ids":["` + id(1) + `"]}`)
	x.call("GET", "/1/events/"+id(1), "").status(200).json(wholeEvent + "}")
	x.call("GET", "/1/events/"+id(1)+"?descriptor=1", "").status(200).json(whole)
	x.call("POST", "/1/events", `[`+event(2)+`,{"body_descriptor":`+bodyData+`}]`).status(201).part("event_ids.0", `"`+id(2)+`"`)
	x.call("GET", "/1/events", "").status(200).part("count", "3")
	x.call("GET", "/1/events?page=2&page_size=1", "").status(200).part("events.0.event_id", `"`+id(2)+`"`)
	x.call("GET", "/1/events?page_size=1&descriptor=1", "").status(200).part("events", `[`+whole+`]`)

	// Either all events of a request are stored or none.
	x.call("POST", "/1/events", event(2)).fault(22006, "event_id", id(2))
	x.call("POST", "/1/events", `[`+event(5)+`,`+event(1)+`]`).fault(22006, "body[1].event_id", id(1))
	x.call("POST", "/1/events", `[`+event(5)+`,`+event(6)+`,`+event(5)+`]`).fault(22006, "body[2].event_id", id(5))
	x.call("POST", "/1/events", `[`+event(5)+`,`+event(6, `,"mask":300`)+`]`).fault(12022, "body[1].mask", "300")
	x.call("POST", "/1/events", `[`+event(5)+`,`+event(6, `,"source":null`)+`,{"face_descriptor":`+descriptor(9, 1)+`}]`).fault(12036, "body[2].face_descriptor.version", "9")
	x.call("POST", "/1/events", `[]`).fault(12022, "body", "0 events")
	x.call("POST", "/1/events", `[`+strings.Repeat(event(5)+",", 1000)+event(6)+`]`).fault(12022, "body", "1 to 1000 events, got 1001")
	x.call("GET", "/1/events/"+id(5), "").fault(22007, id(5))
	var many []string
	for n := range 1000 {
		many = append(many, event(1000+n))
	}
	x.call("POST", "/1/events", `[`+strings.Join(many, ",")+`]`).status(201).part("event_ids.999", `"`+id(1999)+`"`)
	x.call("GET", "/1/events", "").status(200).part("count", "1003")

	// Deleting.
	x.call("DELETE", "/1/events", "").fault(12022, "filter")
	x.call("DELETE", "/1/events?tags=a", "").status(200).json(`{"deleted":1}`)
	x.call("GET", "/1/events/"+id(1), "").fault(22007, id(1))
	x.call("DELETE", "/1/events/"+id(2), "").status(204)
	x.call("DELETE", "/1/events/"+id(2), "").fault(22007, id(2))
	x.call("DELETE", "/1/events/x", "").fault(22007, "x")
	x.call("PUT", "/1/events/"+id(2), event(2)).fault(12011, "PUT").header("Allow", "GET, HEAD, DELETE")
	x.call("DELETE", "/1/events?create_time__lt=now-0s", "").status(200).json(`{"deleted":1001}`)
}

// TestEventMatch matches events by face and by body, as candidates and as references.
func TestEventMatch(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/events", event(1, `,"track_id":"t","external_id":"e","body_descriptor":`+descriptor(vBody, 0, 0, 0, 3))).status(201)
	x.call("POST", "/1/events", event(2, `,"track_id":"t"`)).status(201)
	x.call("POST", "/1/events", `{"event_id":"`+id(3)+`","track_id":"t","body_descriptor":`+descriptor(vBody, 0, 0, 0, 5)+`}`).status(201)
	x.call("POST", "/1/faces", face(4, descriptor(v4, 3, 0, 0, 0))).status(201)
	x.call("PUT", "/1/attributes/"+id(5), `{"age":7,"descriptor":`+descriptor(vBody, 0, 0, 0, 6)+`}`).status(201)
	events, attributes := `{"filters":{"origin":"events"},"targets":["distance"]}`, `{"filters":{"origin":"attributes"},"targets":["distance","age"]}`
	row := func(n, distance int) string {
		return fmt.Sprintf(`{"event":{"event_id":"%s"},"distance":%d}`, id(n), distance)
	}
	faces, bodies := "/1/matcher/faces", "/1/matcher/bodies"
	x.call("POST", faces, matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), events)).status(201).part("0.matches.0.result", `[`+row(1, 1)+`,`+row(2, 4)+`]`)
	x.call("POST", bodies, matchBody(givenDescriptor(descriptor(vBody, 0, 0, 0, 0)), events+","+attributes)).status(201).
		part("0.matches.0.result", `[`+row(1, 9)+`,`+row(3, 25)+`]`).
		part("0.matches.1.result", `[{"attribute":{"attribute_id":"`+id(5)+`","age":7},"distance":36}]`)
	x.call("POST", bodies, matchBody(givenDescriptor(descriptor(vBody, 0, 0, 0, 0)), allFaces(figures))).status(201).part("0.matches.0.result", `[]`) // faces have no such field

	reference := func(kind, id string) string { return `{"type":"` + kind + `","id":"` + id + `"}` }
	x.call("POST", faces, matchBody(reference("event", id(2)), events)).status(201).part("0.matches.0.result", `[`+row(2, 0)+`,`+row(1, 1)+`]`)
	x.call("POST", bodies, matchBody(reference("attribute", id(5)), events)).status(201).part("0.matches.0.result", `[`+row(3, 1)+`,`+row(1, 9)+`]`)
	x.call("POST", bodies, matchBody(reference("event_external_id", "e"), events)).status(201).part("0.reference.object_id", `"`+id(1)+`"`)
	// The event without a face is skipped.
	x.call("POST", faces, matchBody(reference("event_track_id", "t"), events)).status(201).
		part("0.reference.object_id", `"`+id(1)+`"`).part("1.reference.object_id", `"`+id(2)+`"`)
	x.call("POST", bodies, matchBody(reference("event_track_id", "t"), events)).status(201).
		part("0.reference.object_id", `"`+id(1)+`"`).part("1.reference.object_id", `"`+id(3)+`"`)
	x.call("POST", faces, matchBody(reference("event_track_id", "none"), events)).status(201).part("0.matches.0.result", `[]`)
	x.call("POST", faces, matchBody(reference("face_external_id", "e"), events)).status(201).part("0.matches.0.result", `[]`)

	x.call("POST", faces, matchBody(reference("event", id(3)), events)).fault(22008, "references[0].id", id(3), "face")
	x.call("POST", bodies, matchBody(reference("event", id(2)), events)).fault(22008, "references[0].id", id(2), "body")
	x.call("POST", bodies, matchBody(storedFace(4), events)).fault(22008, "references[0].id", id(4), "body")
	x.call("POST", faces, matchBody(reference("attribute", id(5)), events)).fault(22008, "references[0].id", id(5), "face")
	x.call("POST", bodies, matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), events)).fault(31001, "references[0].data.version", "face")
	x.call("POST", faces, matchBody(givenDescriptor(descriptor(vBody, 0, 0, 0, 0)), events)).fault(31001, "references[0].data.version", "body")
	x.call("POST", bodies+"?descriptor_version=110", matchBody(reference("event", id(3)), events)).fault(31001, "110")
	x.call("POST", faces, matchBody(reference("event", id(9)), events)).fault(22007, "references[0].id", id(9))
	x.call("POST", bodies, matchBody(reference("attribute", id(9)), events)).fault(22005, "references[0].id", id(9))
	x.call("POST", faces, matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"events"},"targets":["lists"]}`)).fault(12022, "candidates[0].targets[0]", "lists")
	x.call("POST", faces+"?explain=1", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), events)).status(201).
		part("0.matches.0.plan.rows_selected", "3").part("0.matches.0.plan.rows_other_version", "1").part("0.matches.0.plan.rows_scanned", "2")
}

// TestEventFilters uses each filter in the four places where filters can be: in a
// match, a page, an export and a delete.
func TestEventFilters(t *testing.T) {
	x := start(t)
	put := func() {
		t.Helper()
		x.call("POST", "/1/events", wholeEvent+`,"face_descriptor":`+descriptor(v4, 1, 0, 0, 0)+`}`).status(201)
		x.call("POST", "/1/events", `[`+event(2, `,"tags":["c"],"meta":{"shop":{"floor":-1}},"location":{"geo_position":{"longitude":-1.5,"latitude":2.5}}`)+`,`+event(3)+`]`).status(201)
	}
	put()
	filter := func(name, json string, want ...int) {
		t.Helper()
		var ids []string
		for _, n := range want {
			ids = append(ids, id(n))
		}
		compare := func(how string, rows []any, idOf func(any) any) {
			t.Helper()
			var got []string
			for _, r := range rows {
				got = append(got, idOf(r).(string))
			}
			if strings.Join(got, " ") != strings.Join(ids, " ") {
				t.Errorf("%s %s, by %s: %v, want %v", name, json, how, got, ids)
			}
		}
		a := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"events","`+name+`":`+json+`}}`)).status(201)
		compare("match", a.at("0.matches.0.result").([]any), func(r any) any { return r.(map[string]any)["event"].(map[string]any)["event_id"] })
		ofEvent := func(r any) any { return r.(map[string]any)["event_id"] }
		for _, query := range inQueries(name, json) {
			compare("list"+query, x.call("GET", "/1/events"+query, "").status(200).at("events").([]any), ofEvent)
			lines := "[" + strings.ReplaceAll(strings.TrimSpace(string(x.call("GET", "/1/export"+query+"&origin=events", "").status(200).body)), "\n", ",") + "]"
			compare("export"+query, value(t, lines).([]any), ofEvent)
		}
		if name == "account_id" { // a delete needs another filter
			return
		}
		x.call("DELETE", "/1/events"+inQueries(name, json)[0], "").status(200).json(fmt.Sprintf(`{"deleted":%d}`, len(want)))
		x.call("DELETE", "/1/events?create_time__gte=2000-01-01T00:00:00Z", "").status(200)
		put()
	}
	filter("account_id", `"`+id(0x99)+`"`, 1)
	filter("event_ids", `["`+id(3)+`","`+id(1)+`","`+id(9)+`"]`, 1, 3)
	filter("face_ids", `["`+id(4)+`"]`, 1)
	filter("face_ids", `["`+id(1)+`"]`)
	filter("sources", `["cam-1","none"]`, 1)
	filter("handler_ids", `["`+id(2)+`"]`, 1)
	filter("stream_ids", `["`+id(3)+`"]`, 1)
	filter("track_ids", `["t"]`, 1)
	filter("external_ids", `["e"]`, 1)
	filter("user_data", `"u"`, 1)
	filter("tags", `["a","c"]`, 1, 2)
	filter("tags", `[]`)
	filter("age__gte", `33`, 1)
	filter("gender", `1`, 1)
	filter("ethnic_groups", `[2]`, 1)
	filter("emotions", `[3,4]`, 1)
	filter("masks", `[0]`)
	filter("masks", `[1]`, 1)
	filter("cities", `["c"]`, 1)
	filter("areas", `["a"]`, 1)
	filter("districts", `["d"]`, 1)
	filter("streets", `["s"]`, 1)
	filter("house_numbers", `["1"]`, 1)
	filter("geo_position", `{"origin_longitude":0,"origin_latitude":2.5,"longitude_delta":1.5,"latitude_delta":0}`, 1, 2)
	filter("geo_position", `{"origin_longitude":0.5,"origin_latitude":2.5,"longitude_delta":1.5,"latitude_delta":1}`, 1)
	filter("end_time__gte", `"2026-05-01T00:00:05Z"`, 1)
	filter("end_time__lt", `"2026-05-01T00:00:05Z"`)
	filter("create_time__gte", `"2026-05-01T00:00:02Z"`, 2, 3)
	filter("top_match_object_ids", `["`+id(5)+`"]`, 1)
	filter("top_match_external_ids", `["x"]`, 1)
	filter("top_match_similarity__gte", `0.9`, 1)
	filter("top_match_similarity__lt", `0.9`)
	filter("meta.shop.floor__gte", `-1`, 1, 2)
	filter("meta.shop.floor__lt", `3`, 2)
	filter("meta.shop.floor__eq", `3.0`, 1)
	filter("meta.shop.floor__in", `[-1,5]`, 2)
	filter("meta.shop.name__eq", `"n"`, 1)
	filter("meta.shop.name__lt", `"n"`)
	filter("meta.vip__eq", `true`, 1)
	filter("meta.vip__in", `[false]`)

	refused := func(name, value string, code int, details ...string) {
		t.Helper()
		x.call("GET", "/1/events?"+name+"="+url.QueryEscape(value), "").fault(code, append(details, name)...)
	}
	refused("lists", id(1), 12022, "unknown filter of events")
	refused("meta.shop.size__eq", "1", 12022, "shop.size", "events.meta_fields")
	refused("meta.vip__lt", "true", 12022, "boolean")
	refused("meta.shop.floor__eq", "x", 12022, `"x"`)
	refused("geo_position", "{", 12022, "must be JSON", "byte 1")
	refused("geo_position", "5", 12022, "must be an object, got 5")
	refused("emotions", "300", 12022, "300")
	refused("end_time__lt", "soon", 12022, "soon")
}

// TestEventRoundTrip checks that the import of an export stores the same data, and
// replaces events.
func TestEventRoundTrip(t *testing.T) {
	x, y := start(t), start(t)
	x.call("POST", "/1/events", wholeEvent+`,"body_descriptor":`+descriptor(vBody, 1, 0, 0, 0)+`}`).status(201)
	x.call("POST", "/1/events", event(2)).status(201)
	lines := x.call("GET", "/1/export?origin=events", "").status(200).body
	y.call("POST", "/1/events", event(1)).status(201)
	y.call("POST", "/1/import?origin=events", string(lines)+"{\n"+`{"lists":[]}`).status(200).part("accepted", "2").part("rejected", "2").
		part("errors.0.line", "3").part("errors.1.line", "4")
	if again := y.call("GET", "/1/export?origin=events", "").status(200).body; sorted(string(again)) != sorted(string(lines)) {
		t.Errorf("%s\nwant\n%s", again, lines)
	}
	x.call("GET", "/1/export", "").status(200)
}

// sorted returns two lines in ascending order.
func sorted(lines string) string {
	a, b, _ := strings.Cut(strings.TrimSpace(lines), "\n")
	return min(a, b) + max(a, b)
}

// TestEventErrors has a line for each error of events and attributes that no other
// test has.
func TestEventErrors(t *testing.T) {
	x := start(t, func(s *settings) { s.limits.FilterValues, s.body, s.line = 3, 4000, 5024 })
	attribute := "/1/attributes/" + id(1)
	for path, method := range map[string]string{"/1/events": "POST", attribute: "PUT"} {
		x.call(method, path, `{`).fault(12001, "byte 1")
		x.call(method, path, "\x81\xa1\xff\xc0", "Content-Type", "application/msgpack").fault(12001, "UTF-8")
		x.call(method, path, `{}`, "Content-Type", "text/plain").fault(12027, "text/plain")
		x.call(method, path, `{}`, "Accept", "text/plain").fault(12028, "text/plain")
		x.call(method, path, `{"x":"`+strings.Repeat("x", 4000)+`"}`).fault(12029, "4000")
		x.call(method, path+"?color=red", `{}`).fault(12022, "color")
	}
	x.call("POST", "/1/events", event(1, `,"tags":["a","b","c","d"]`)).fault(31007, "tags", "limits.filter_values")
	x.call("GET", "/1/events?tags=a&tags=b&tags=c&tags=d", "").fault(31007, "tags", "4")
	x.call("POST", "/1/matcher/bodies", matchBody(givenDescriptor(descriptor(vBody, 1, 2, 3, 4)), `{"filters":{"origin":"events","meta.shop.floor__in":[1,2,3,4]}}`)).
		fault(31007, "candidates[0].filters.meta.shop.floor__in", "4")
	x.call("POST", "/1/matcher/bodies", matchBody(givenDescriptor(descriptor(9, 1)), allFaces())).fault(12036, "references[0].data.version", "9")
	x.call("PUT", attribute, `{"descriptor":`+descriptor(9, 1)+`}`).fault(12036, "descriptor.version", "9")
	x.call("GET", "/1/matcher/bodies", "").fault(12011, "GET").header("Allow", "POST")
	x.call("POST", "/1/import?origin=events", event(1, `,"user_data":"`+strings.Repeat("x", 5000)+`"`)+"\n"+event(2)+"\n\n"+event(3, `,"mask":"x"`)).status(200).
		part("accepted", "1").part("rejected", "2").part("errors.0.line", "1").part("errors.1.line", "4").
		part("errors.1.detail", `"mask: must be an integer from 0 to 255, got \"x\""`)

	y := start(t, func(s *settings) { s.memory = 2000 })
	for n := 0; ; n++ {
		if a := y.call("POST", "/1/events", event(n)); n > 100 || a.response.StatusCode != http.StatusCreated {
			a.fault(12052, "limits.memory", "2000")
			break
		}
	}
	for n := 0; ; n++ {
		a := y.call("PUT", "/1/attributes/"+id(n), `{"descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`)
		if n > 100 || a.response.StatusCode != http.StatusCreated {
			a.fault(12052, "limits.memory")
			break
		}
	}
}

// TestEventsInMessagePack stores, reads and matches an event without JSON.
func TestEventsInMessagePack(t *testing.T) {
	x := start(t)
	whole := wholeEvent + `,"face_descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}`
	headers := []string{"Content-Type", "application/msgpack", "Accept", "application/msgpack"}
	x.call("POST", "/1/events", packed(t, `[`+whole+`]`), headers...).status(201)
	x.call("GET", "/1/events/"+id(1)+"?descriptor=1", "").status(200).json(whole)
	same := func(a *answer, want string) {
		t.Helper()
		got, rest := unpack(t, a.body)
		if len(rest) > 0 || oracle.JSON(got) != oracle.JSON(value(t, want)) {
			t.Errorf("%v\nwant %s", got, want)
		}
	}
	same(x.call("GET", "/1/events/"+id(1)+"?descriptor=1", "", headers...).status(200), whole)
	set := `{"filters":{"origin":"events","tags":["a"],"meta.vip__eq":true},"limit":1}`
	same(x.call("POST", "/1/matcher/faces", packed(t, matchBody(givenDescriptor(descriptor(v4, 1, 0, 0, 0)), set)), headers...).status(201),
		`[{"reference":{"type":"raw_descriptor","id":"probe"},"matches":[{"filters":{"origin":"events","tags":["a"],"meta.vip__eq":true},
			"result":[{"event":`+wholeEvent+`},"similarity":1,"distance":0}]}]}]`)
}
