package server_test

import (
	"encoding/binary"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// TestUnicode checks that text that is not valid Unicode is refused in both formats,
// in values, keys, queries and imports. A byte order mark is skipped.
func TestUnicode(t *testing.T) {
	x := start(t)
	const bom = "\uFEFF"
	msgpack := []string{"Content-Type", "application/msgpack"}
	swap := func(text, from, to string) string { return strings.Replace(text, from, to, 1) }
	for _, where := range []string{`,"source":"here"`, `,"tags":["a","here"]`, `,"meta":{"a":["here"]}`, `,"meta":{"here":1}`, `,"location":{"city":"here"}`} {
		text := event(1, where)
		for _, bad := range []string{"he\xffe", "\xed\xa0\x80e", "\xc0\x80he"} {
			x.call("POST", "/1/events", swap(text, "here", bad)).fault(12001, "not UTF-8")
			x.call("POST", "/1/events", swap(packed(t, text), "here", bad), msgpack...).fault(12001, "not UTF-8")
			x.call("POST", "/1/import?origin=events", swap(text, "here", bad), "Content-Type", "application/x-ndjson").status(200).part("rejected", "1")
		}
		for _, bad := range []string{`\ud800`, `\udc00`, `\udc00\ud800`, `x\ud83d`} {
			x.call("POST", "/1/events", swap(text, "here", bad)).fault(12001, "surrogate")
			x.call("POST", "/1/import?origin=events", swap(text, "here", bad), "Content-Type", "application/x-ndjson").status(200).part("rejected", "1")
		}
	}
	x.call("GET", "/1/events?sources=%ff", "").fault(12022, "sources", "must be UTF-8")
	x.call("DELETE", "/1/events?user_data=a%ed%a0%80", "").fault(12022, "user_data", "must be UTF-8")
	x.call("GET", "/1/events", "").status(200).part("count", "0")

	x.call("POST", "/1/events", swap(event(1, `,"source":"here"`), "here", `\ud83d\ude00`)).status(201)
	x.call("GET", "/1/events?sources=%F0%9F%98%80", "").status(200).part("count", "1")
	x.call("POST", "/1/events", bom+event(2)).status(201)
	x.call("POST", "/1/matcher/faces", bom+matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"events"}}`)).status(201)
	x.call("POST", "/1/import?origin=events", bom+"\n"+event(3)+"\n"+bom+event(4)+"\n", "Content-Type", "application/x-ndjson").status(200).json(`{"accepted":2,"rejected":0,"errors":[]}`)
}

// TestTimes checks that every field that is a time accepts all of RFC 3339, except
// times that an answer could not show.
func TestTimes(t *testing.T) {
	x := start(t)
	good := map[string]string{
		"2024-03-01t00:00:00z": "2024-03-01T00:00:00.000Z", "2016-12-31T23:59:60Z": "2016-12-31T23:59:59.999Z",
		"1990-12-31T15:59:60-08:00": "1990-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
	}
	bad := []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "2016-12-31T12:00:60Z"}
	bodies := map[string]func(v string) (string, string){
		"create_time": func(v string) (string, string) {
			return "/1/faces", `{"face_id":"` + id(1) + `","create_time":"` + v + `","descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}`
		},
		"end_time": func(v string) (string, string) {
			return "/1/events", `{"event_id":"` + id(1) + `","end_time":"` + v + `","face_descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}`
		},
	}
	for field, body := range bodies {
		for v, want := range good {
			path, text := body(v)
			x.call("POST", path, text).status(201)
			x.call("GET", path+"/"+id(1), "").status(200).part(field, `"`+want+`"`)
			x.call("GET", path+"?"+field+"__gte="+url.QueryEscape(v), "").status(200).part("count", "1")
			x.call("DELETE", path+"/"+id(1), "").status(204)
			x.call("POST", path, packed(t, text), "Content-Type", "application/msgpack").status(201)
			x.call("DELETE", path+"/"+id(1), "").status(204)
		}
		for _, v := range bad {
			path, text := body(v)
			x.call("POST", path, text).fault(12022, field, v)
			x.call("POST", path, packed(t, text), "Content-Type", "application/msgpack").fault(12022, field, v)
			x.call("GET", path+"?"+field+"__lt="+url.QueryEscape(v), "").fault(12022, field, v)
			origin := strings.TrimPrefix(path, "/1/")
			x.call("POST", "/1/import?origin="+origin, text, "Content-Type", "application/x-ndjson").status(200).part("rejected", "1")
			x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"`+origin+`","`+field+`__lt":"`+v+`"}}`)).fault(12022, field, v)
		}
	}
}

// TestLargeIntegers checks that integers that float64 cannot distinguish are stored,
// returned, filtered and deleted exactly, in both formats.
func TestLargeIntegers(t *testing.T) {
	x := start(t)
	values := []string{
		"1867095692340801536", "1867095692340801537", "1867095692340801538", "18446744073709551615", "18446744073709551614",
		"-9223372036854775807", "-9223372036854775808", "9007199254740993", "9007199254740992",
	}
	var events []string
	for i, v := range values {
		events = append(events, event(i, `,"meta":{"shop":{"floor":`+v+`}}`))
	}
	x.call("POST", "/1/events", "["+strings.Join(events, ",")+"]").status(201)
	has := func(n int) string {
		return string(x.call("GET", "/1/events/"+id(n), "").status(200).body)
	}
	for i, v := range values {
		if got := has(i); !strings.Contains(got, `"floor":`+v+"}") {
			t.Errorf("%s comes back as %s", v, got)
		}
	}
	// MessagePack writes them as uint64 and int64.
	packedEvent := packed(t, event(20, `,"meta":{"shop":{"floor":"here"}}`))
	number := func(kind byte, n uint64) string { return string(binary.BigEndian.AppendUint64([]byte{kind}, n)) }
	here := string(append(binary.BigEndian.AppendUint32([]byte{0xdb}, 4), "here"...))
	x.call("POST", "/1/events", strings.Replace(packedEvent, here, number(0xcf, 1867095692340801537), 1), "Content-Type", "application/msgpack").status(201)
	if got := has(20); !strings.Contains(got, `"floor":1867095692340801537}`) {
		t.Errorf("uint64: %s", got)
	}
	packedBack := x.call("GET", "/1/events/"+id(5), "", "Accept", "application/msgpack").status(200).body
	if want := number(0xd3, 0x8000000000000001); !strings.Contains(string(packedBack), want) { // -9223372036854775807
		t.Errorf("%x is not in %x", want, packedBack)
	}
	x.call("DELETE", "/1/events/"+id(20), "").status(204)

	// Each operation with filters: a page, an export and a match.
	count := func(filter, value string, want ...int) {
		t.Helper()
		query := "meta.shop.floor__" + filter + "=" + url.QueryEscape(strings.Trim(value, "[]"))
		a := x.call("GET", "/1/events?page_size=100&"+query, "").status(200)
		a.part("count", strconv.Itoa(len(want)))
		x.call("GET", "/1/export?origin=events&"+query, "").status(200)
		body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"events","meta.shop.floor__`+filter+`":`+value+`},"limit":100}`)
		for _, set := range []any{
			a.at("events"),
			x.call("POST", "/1/matcher/faces", body).status(201).at("0.matches.0.result"),
		} {
			got := map[string]bool{}
			for _, row := range set.([]any) {
				fields := row.(map[string]any)
				if inner, ok := fields["event"]; ok {
					fields = inner.(map[string]any)
				}
				got[fields["event_id"].(string)] = true
			}
			for _, n := range want {
				if !got[id(n)] {
					t.Errorf("%s %s: %s is missing", filter, value, values[n])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s %s: %v", filter, value, got)
			}
		}
	}
	count("eq", "1867095692340801537", 1)
	count("eq", "1867095692340801536", 0)
	count("eq", "1867095692340801539")
	count("gte", "1867095692340801537", 1, 2, 3, 4)
	count("lt", "1867095692340801537", 0, 5, 6, 7, 8)
	count("in", "[1867095692340801538,18446744073709551614,-9223372036854775807,9007199254740994,5]", 2, 4, 5)
	count("gte", "18446744073709551615", 3)
	count("lt", "-9223372036854775807", 6)
	count("eq", "9007199254740992.0", 8)
	count("gte", "1e19", 3, 4)
	x.call("DELETE", "/1/events?meta.shop.floor__eq=1867095692340801537", "").status(200).json(`{"deleted":1}`)
	x.call("DELETE", "/1/events?meta.shop.floor__lt=-9223372036854775807", "").status(200).json(`{"deleted":1}`)
	x.call("GET", "/1/events", "").status(200).part("count", strconv.Itoa(len(values)-2))

	// A float is returned as an equal number, possibly an integer.
	x.call("POST", "/1/events", event(30, `,"meta":{"a":1.867095692340801536e18,"b":-0.0,"c":1e20,"d":1e21}`)).status(201)
	if got := has(30); !strings.Contains(got, `"meta":{"a":1867095692340801536,"b":-0.0,"c":100000000000000000000,"d":1e+21}`) {
		t.Error(got)
	}
}
