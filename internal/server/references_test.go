package server_test

import (
	"strings"
	"testing"
)

// key is a reference to all faces with an external_id.
func key(s string) string { return `{"type":"face_external_id","id":"` + s + `"}` }

func TestKeyReferences(t *testing.T) {
	x := start(t, func(s *settings) { s.limits.References = 3 })
	for n, name := range []string{"one", "two", "two", "many", "many", "many", "many"} {
		x.call("POST", "/1/faces", face(7-n, descriptor(v4, byte(7-n), 0, 0, 0), `,"external_id":"`+name+`"`)).status(201)
	}
	set := `{"filters":{"origin":"faces"},"label":1,"limit":1,"targets":["distance"]}`
	item := func(name string, n int) string {
		return `{"reference":{"type":"face_external_id","id":"` + name + `","object_id":"` + id(n) + `"},
			"matches":[{"filters":{"origin":"faces"},"label":1,"result":[{"face":{"face_id":"` + id(n) + `"},"distance":0}]}]}`
	}
	match := func(references string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces", matchBody(references, set))
	}
	match(key("one")).status(201).json(`[` + item("one", 7) + `]`)
	match(key("two")).status(201).json(`[` + item("two", 5) + `,` + item("two", 6) + `]`) // ordered by ID
	nothing := `{"reference":` + key("none") + `,"matches":[{"filters":{"origin":"faces"},"label":1,"result":[]}]}`
	match(key("none")).status(201).json(`[` + nothing + `]`)
	match(key("two") + "," + key("none")).status(201).json(`[` + item("two", 5) + `,` + item("two", 6) + `,` + nothing + `]`)
	x.call("POST", "/1/matcher/faces", matchBody(key("none"), allFaces()+","+allFaces())).status(201).
		json(`[{"reference":` + key("none") + `,"matches":[{"filters":{"origin":"faces"},"result":[]},{"filters":{"origin":"faces"},"result":[]}]}]`)

	// The limit counts the objects that keys matched.
	match(key("two") + "," + key("one")).status(201)
	match(key("many")).fault(31007, "references", "3")
	match(key("two")+","+key("two")).fault(31007, "references", "3")
	match(key("one")+","+key("one")+","+key("one")+","+key("one")).fault(31007, "references", "4", "3")

	// Keys of events do not find faces.
	for _, kind := range []string{"event_external_id", "event_track_id"} {
		match(`{"type":"`+kind+`","id":"one"}`).status(201).part("0.matches.0.result", "[]")
	}
	match(key("")).fault(12022, "references[0].id")
}

func TestReferencesRefused(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	refused := func(reference string, code int, details ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+","+reference, allFaces())).fault(code, append(details, "references[1]")...)
	}
	refused(storedFace(2), 22004, "id", id(2))
	refused(`{"type":"event","id":"`+id(1)+`"}`, 22007, id(1))
	refused(`{"type":"attribute","id":"`+id(1)+`"}`, 22005, id(1))
	refused(`{"type":"face","id":"x"}`, 12022, "id", `"x"`)
	refused(`{"type":"face"}`, 12022, "id", "is missing")
	refused(`{"id":"`+id(1)+`"}`, 12022, "type", "is missing")
	refused(`{"type":"face","id":"`+id(1)+`","data":`+descriptor(v4, 1, 2, 3, 4)+`}`, 12022, "data")
	refused(`{"type":"face","id":"`+id(1)+`","name":"x"}`, 12022, "name", "unknown field")
	refused(`{"type":"xpk_file","id":"1","data":"AAAA"}`, 12022, "type", "xpk_file", "not public")
	refused(`{"type":"body","id":"1"}`, 12022, "type", `"body"`)
	refused(`{"type":"raw_descriptor","id":"1"}`, 12022, "data", "is missing")
	refused(`"`+id(1)+`"`, 12022, "must be an object")
	// IDs may be in upper case and are echoed in lower case.
	upper := strings.ToUpper("0000000a-0000-4000-8000-00000000000b")
	x.call("PUT", "/1/faces/"+upper, `{"descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"face","id":"`+upper+`"}`, allFaces())).status(201).
		part("0.reference", `{"type":"face","id":"`+strings.ToLower(upper)+`"}`)
}

func TestGivenReferences(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	sdk := base64Of('d', 'p', 0, 0, v4, 0, 0, 0, 1, 0, 0, 0)
	for _, reference := range []string{
		`{"type":"sdk_descriptor","id":"mine","data":"` + sdk + `"}`,
		`{"type":"raw_descriptor","id":"mine","data":"` + sdk + `"}`,
		`{"type":"sdk_descriptor","id":"mine","data":` + descriptor(v4, 1, 0, 0, 0) + `}`,
	} {
		x.call("POST", "/1/matcher/faces", matchBody(reference, allFaces(figures))).status(201).part("0.reference.id", `"mine"`).part("0.matches.0.result", `[`+row(1, v4, 0)+`]`)
	}
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"raw_descriptor","data":"`+sdk+`"}`, allFaces())).status(201).part("0.reference", `{"type":"raw_descriptor","id":""}`)
	refused := func(data string, code int, details ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(data), allFaces())).fault(code, append(details, "references[0].data")...)
		x.call("POST", "/1/faces", `{"descriptor":`+data+`}`).fault(code, append(details, "descriptor")...)
	}
	refused(descriptor(v4, 1, 2, 3), 12022, "needs 4 bytes, got 3")
	refused(descriptor(v4, 1, 2, 3, 4, 5), 12022, "needs 4 bytes, got 5")
	refused(descriptor(v4), 12022, "needs 4 bytes, got 0")
	refused(descriptor(9, 1, 2, 3), 12036, "version", "9")
	refused(`{"version":0,"data":"AAAA"}`, 12022, "version", "0")
	refused(`{"version":"4","data":"AAAA"}`, 12022, "version", `"4"`)
	refused(`{"data":"AQIDBA=="}`, 12022, "version", "is missing")
	refused(`{"version":4}`, 12022, "data", "is missing")
	refused(`{"version":4,"data":"AQIDBA"}`, 12022, "data", "base64")
	refused(`{"version":4,"data":"AQIDBA==\n"}`, 12022, "base64")
	refused(`{"version":4,"data":"*"}`, 12022, "base64")
	refused(`{"version":4,"data":[1,2,3,256]}`, 12022, "data[3]")
	refused(`{"version":4,"data":"AQIDBA==","type":"face"}`, 12022, "type", "unknown field")
	refused(`7`, 12022, "7")
	refused(`"`+base64Of('d', 'p', 0, 0)+`"`, 12022, "8 bytes", "got 4")
	refused(`"`+base64Of('d', 'q', 0, 0, v4, 0, 0, 0, 1, 0, 0, 0)+`"`, 12022)
	refused(`"`+base64Of('d', 'p', 0, 0, v4, 0, 0, 0, 1, 0, 0)+`"`, 12022, "needs 4 bytes, got 3")
	nan, inf, zero := floats(vL2, 0, 0, float32NaN(), 0), floats(vCosine, float32Inf(), 0, 0, 0), floats(vCosine, 0, 0, 0, 0)
	refused(nan, 12022, "NaN")
	refused(inf, 12022, "Inf")
	refused(zero, 12022, "must not be a zero vector under cosine")
	x.call("POST", "/1/faces", face(9, floats(vL2, 0, 0, 0, 0))).status(201) // l2 allows a zero vector
}

func TestRaw(t *testing.T) {
	x := start(t)
	// The golden value of docs/api.md 2.
	repeat := func(pattern ...byte) []byte {
		var data []byte
		for len(data) < 32 {
			data = append(data, pattern...)
		}
		return data[:32]
	}
	golden := func(kind string) {
		t.Helper()
		a, b := descriptor(v32, repeat(0x12, 0x34, 0x56, 0x78, 0x90)...), descriptor(v32, repeat(0x01, 0x23, 0x45, 0x67, 0x89)...)
		x.call("POST", "/1/matcher/raw", matchBody(`{"type":"`+kind+`","id":"a","data":`+a+`}`, `{"type":"`+kind+`","id":"b","data":`+b+`}`)).status(201).json(
			`[{"reference":{"type":"` + kind + `","id":"a"},"matches":[{"result":{"candidate":{"type":"` + kind + `","id":"b"},"similarity":` +
				number(similarity(v32, 0.4765625)) + `,"distance":0.4765625}}]}]`)
	}
	golden("raw_descriptor")
	golden("sdk_descriptor")

	named := func(name, d string) string { return strings.Replace(givenDescriptor(d), "probe", name, 1) }
	refs := named("a", descriptor(v4, 0, 0, 0, 0)) + "," + named("b", descriptor(v4, 3, 0, 0, 0))
	candidates := named("far", descriptor(v4, 0, 9, 0, 0)) + "," + named("near", descriptor(v4, 1, 0, 0, 0)) + "," + named("near", descriptor(v4, 1, 0, 0, 0))
	pair := func(name string, d float64) string {
		return `{"result":{"candidate":{"type":"raw_descriptor","id":"` + name + `"},"similarity":` + number(similarity(v4, d)) + `,"distance":` + number(d) + `}}`
	}
	item := func(name string, distances ...float64) string {
		return `{"reference":{"type":"raw_descriptor","id":"` + name + `"},"matches":[` + pair("far", distances[0]) + `,` + pair("near", distances[1]) + `,` + pair("near", distances[1]) + `]}`
	}
	x.call("POST", "/1/matcher/raw", matchBody(refs, candidates)).status(201).json(`[` + item("a", 81, 1) + `,` + item("b", 90, 4) + `]`)
	x.call("POST", "/1/matcher/raw?explain=1", matchBody(refs, candidates)).status(201).part("1.plan.rows_scanned", "3").part("1.plan.shared_with", "1").part("0.plan.matchers.0.chosen", "true")
	x.call("POST", "/1/matcher/raw", matchBody(givenDescriptor(descriptor(vBody, 1, 2, 3, 4)), givenDescriptor(descriptor(vBody, 1, 2, 3, 5)))).status(201).part("0.matches.0.result.distance", "1")

	x.call("POST", "/1/matcher/raw", matchBody(refs, named("c", descriptor(v4other, 0, 0, 0, 0)))).fault(31005, "candidates[0]", "44", "4")
	x.call("POST", "/1/matcher/raw", matchBody(refs+","+named("c", descriptor(v4other, 0, 0, 0, 0)), candidates)).fault(31005, "references[2]", "44")
	x.call("POST", "/1/matcher/raw", matchBody(storedFace(1), candidates)).fault(12022, "references[0].type", "face")
	x.call("POST", "/1/matcher/raw", matchBody(refs, storedFace(1))).fault(12022, "candidates[0].type", "face")
	x.call("POST", "/1/matcher/raw", matchBody("", candidates)).fault(12022, "references")
	x.call("POST", "/1/matcher/raw", matchBody(refs, "")).fault(12022, "candidates")
	x.call("POST", "/1/matcher/raw?descriptor_version=4", matchBody(refs, candidates)).fault(12022, "descriptor_version")
	x.call("POST", "/1/matcher/raw", matchBody(refs, candidates+strings.Repeat(","+givenDescriptor(descriptor(v4, 1, 2, 3, 4)), 998))).fault(31007, "candidates", "1001", "1000")
}

// TestRowsLimit checks that the sum of the limits of all sets is bounded.
func TestRowsLimit(t *testing.T) {
	x := start(t, func(s *settings) { s.limits.Candidates, s.limits.References = 100, 1000 })
	x.storeFaces(1)
	sets := func(n int) string {
		return allFaces(`,"limit":1000`) + strings.Repeat(","+allFaces(`,"limit":1000`), n-1)
	}
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+strings.Repeat(","+storedFace(1), 99), sets(20))).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+strings.Repeat(","+storedFace(1), 99), sets(21))).fault(31007, "candidates", "21000 rows", "100 references", "2000000")
}
