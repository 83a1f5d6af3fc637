package server_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/internal/precise"
	"nearside/internal/testkit"
)

// givenDescriptor is a reference with a descriptor.
func givenDescriptor(d string) string {
	return `{"type":"raw_descriptor","id":"probe","data":` + d + `}`
}

// storedFace is a reference to a face.
func storedFace(n int) string { return `{"type":"face","id":"` + id(n) + `"}` }

// allFaces is the candidate set of all faces, with further fields.
func allFaces(more ...string) string {
	return `{"filters":{"origin":"faces"}` + strings.Join(more, "") + `}`
}

// matchBody is the body of a match.
func matchBody(references, candidates string) string {
	return `{"references":[` + references + `],"candidates":[` + candidates + `]}`
}

// similarity computes the formula of docs/api.md 2 without code of the server.
func similarity(v int, distance float64) float64 {
	for _, version := range versions {
		if int(version.Number) == v {
			m, k := version.Similarity.Midpoint, version.Similarity.Steepness
			return precise.Similarity(m, k, distance)
		}
	}
	panic(v)
}

// number writes a float64 so that it is read back exactly.
func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func floats(version int, values ...float32) string {
	var data []byte
	for _, f := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return descriptor(version, data...)
}

// row is a row of an answer to a candidate set with figures.
func row(n, version int, distance float64) string {
	return fmt.Sprintf(`{"face":{"face_id":"%s"},"similarity":%s,"distance":%s}`, id(n), number(similarity(version, distance)), number(distance))
}

// figures are the targets of a candidate set: the numbers of a row.
const figures = `,"targets":["similarity","distance"]`

// storeFaces stores faces 1 to n. Face i has the descriptor (i, 0, 0, 0) of v4, so its
// distance to (0, 0, 0, 0) is i squared.
func (x *service) storeFaces(n int) {
	x.Helper()
	for i := 1; i <= n; i++ {
		x.call("POST", "/1/faces", face(i, descriptor(v4, byte(i), 0, 0, 0))).status(201)
	}
}

func TestMatch(t *testing.T) {
	x := start(t)
	x.storeFaces(4)
	want := `[{"reference":{"type":"raw_descriptor","id":"probe"},"matches":[{"filters":{"origin":"faces"},"result":[` +
		row(1, v4, 1) + `,` + row(2, v4, 4) + `,` + row(3, v4, 9) + `,` + row(4, v4, 16) + `]}]}]`
	body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(figures))
	x.call("POST", "/1/matcher/faces", body).status(201).json(want).header("Warning", "")
	x.call("POST", "/1/matcher", body).status(201).json(want).header("Warning", `299 - "POST /1/matcher is deprecated, use POST /1/matcher/faces"`)

	// A stored reference is returned like any other. References and sets keep their
	// order. Each reference is compared with each set.
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(2)+","+storedFace(4), allFaces(figures, `,"limit":1`)+","+allFaces(figures, `,"limit":2`))).status(201).json(
		`[{"reference":` + storedFace(2) + `,"matches":[
			{"filters":{"origin":"faces"},"result":[` + row(2, v4, 0) + `]},
			{"filters":{"origin":"faces"},"result":[` + row(2, v4, 0) + `,` + row(1, v4, 1) + `]}]},
		  {"reference":` + storedFace(4) + `,"matches":[
			{"filters":{"origin":"faces"},"result":[` + row(4, v4, 0) + `]},
			{"filters":{"origin":"faces"},"result":[` + row(4, v4, 0) + `,` + row(3, v4, 1) + `]}]}]`)

	// A write is visible to the next request.
	x.call("PUT", "/1/faces/"+id(4), face(4, descriptor(v4, 0, 0, 0, 0))).status(200)
	x.call("POST", "/1/matcher/faces", body).status(201).part("0.matches.0.result.0", row(4, v4, 0))
	x.call("DELETE", "/1/faces/"+id(4), "").status(204)
	x.call("POST", "/1/matcher/faces", body).status(201).part("0.matches.0.result.0", row(1, v4, 1))
}

// TestMatchFloat uses numbers that float32 and float64 represent exactly.
func TestMatchFloat(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/faces", face(1, floats(vL2, 1, 0, 0, 0))).status(201)
	x.call("POST", "/1/faces", face(2, floats(vL2, 0, 0, 0, -0.5))).status(201)
	x.call("POST", "/1/faces", face(3, floats(vCosine, 0, 2, 0, 0))).status(201)
	x.call("POST", "/1/faces", face(4, floats(vCosine, 3, 4, 0, 0))).status(201)
	x.call("POST", "/1/faces", face(5, floats(vCosine, -8, 0, 0, 0))).status(201)
	rows := func(reference, want string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(reference), allFaces(figures))).status(201).part("0.matches.0.result", want)
	}
	rows(floats(vL2, 0, 0, 0, 0), `[`+row(2, vL2, 0.25)+`,`+row(1, vL2, 1)+`]`)
	// cos = 1, 3/5, 0, -1
	rows(floats(vCosine, 0.5, 0, 0, 0), `[`+row(4, vCosine, 2-2*15.0/25)+`,`+row(3, vCosine, 2)+`,`+row(5, vCosine, 4)+`]`)
}

func TestMatchThresholdAndLimit(t *testing.T) {
	x := start(t)
	x.storeFaces(12)
	count := func(more string, want int) {
		t.Helper()
		got := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(more))).status(201).at("0.matches.0.result").([]any)
		if len(got) != want {
			t.Errorf("%s: %d rows, want %d", more, len(got), want)
		}
	}
	count("", 5) // the default
	count(`,"limit":1`, 1)
	count(`,"limit":12`, 12)
	count(`,"limit":1000`, 12)
	count(`,"limit":1000,"threshold":0`, 12)
	count(`,"limit":1000,"threshold":1`, 0)
	// A row passes a threshold that equals its similarity, but not the next larger float.
	at := similarity(v4, 49)
	count(`,"limit":1000,"threshold":`+number(at), 7)
	count(`,"limit":1000,"threshold":`+number(math.Nextafter(at, 1)), 6)
	x.call("POST", "/1/faces", face(0, descriptor(v4, 0, 0, 0, 0))).status(201)
	count(`,"threshold":1`, 1)
}

func TestMatchOrder(t *testing.T) {
	x := start(t)
	// id, distance to zero, second of creation
	for _, f := range [][3]int{{3, 1, 10}, {1, 2, 20}, {2, 2, 10}, {5, 3, 30}, {4, 3, 30}} {
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","create_time":"2026-05-01T00:00:%02dZ","descriptor":%s}`, id(f[0]), f[2], descriptor(v4, byte(f[1]), 0, 0, 0))).status(201)
	}
	order := func(more string, want ...int) {
		t.Helper()
		rows := x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(more))).status(201).at("0.matches.0.result").([]any)
		var got, ids []string
		for _, r := range rows {
			got = append(got, r.(map[string]any)["face"].(map[string]any)["face_id"].(string))
		}
		for _, n := range want {
			ids = append(ids, id(n))
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s:\n%v\nwant\n%v", more, got, ids)
		}
	}
	order(``, 3, 1, 2, 4, 5) // ties by id
	order(`,"order":"similarity","limit":4`, 3, 1, 2, 4)
	order(`,"order":"create_time_asc"`, 2, 3, 1, 4, 5)
	order(`,"order":"create_time_desc"`, 4, 5, 1, 2, 3) // ties are ordered by ascending ID in each order
	order(`,"order":"create_time_desc","limit":1`, 4)
	order(`,"order":"create_time_desc","limit":3,"threshold":`+number(similarity(v4, 4)), 1, 2, 3) // the newest of the rows that pass the threshold
	order(`,"order":"create_time_asc","limit":2,"threshold":`+number(similarity(v4, 4)), 2, 3)
}

func TestMatchTargets(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/faces", full).status(201)
	x.call("POST", "/1/faces", face(2, descriptor(v4, 9, 9, 9, 9))).status(201)
	rows := func(targets, want string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces(targets, `,"limit":1`))).status(201).part("0.matches.0.result", want)
	}
	rows(``, `[{"face":`+withoutDescriptor(full)+`,"similarity":1,"distance":0}]`)
	rows(`,"targets":[]`, `[{"face":{"face_id":"`+id(1)+`"}}]`)
	rows(`,"targets":["face_id"]`, `[{"face":{"face_id":"`+id(1)+`"}}]`)
	rows(`,"targets":["distance"]`, `[{"face":{"face_id":"`+id(1)+`"},"distance":0}]`)
	rows(`,"targets":["similarity","age"]`, `[{"face":{"face_id":"`+id(1)+`","age":33},"similarity":1}]`)
	for field, v := range value(t, withoutDescriptor(full)).(map[string]any) {
		want := map[string]any{"face_id": id(1), field: v}
		rows(`,"targets":["`+field+`","`+field+`"]`, `[{"face":`+string(testkit.Must(json.Marshal(want)))+`}]`)
	}
	// Absent fields are left out, but lists are always present.
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(2), allFaces(`,"targets":["age","external_id","lists"],"limit":1`))).status(201).
		part("0.matches.0.result", `[{"face":{"face_id":"`+id(2)+`","lists":[]}}]`)
}

func TestMatchEcho(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	filters := `{"face_ids":["00000000-0000-4000-8000-00000000000A"],"age__gte":1.0,"origin":"faces","create_time__gte":"now-1d"}`
	for _, label := range []string{`"x"`, `null`, `[1,{"a":[]}]`, `{"b":1.5e300}`, `0`, `false`, `12345678901234567`} {
		x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), `{"label":`+label+`,"filters":`+filters+`}`)).status(201).
			part("0.matches.0", `{"filters":`+filters+`,"label":`+label+`,"result":[]}`)
	}
	if label, ok := x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).status(201).at("0.matches.0").(map[string]any)["label"]; ok {
		t.Errorf("the request has no label, but the answer has %v", label)
	}
}

// TestMatchVersions checks that candidates of other versions are left out.
func TestMatchVersions(t *testing.T) {
	x := start(t)
	x.storeFaces(2)
	x.call("POST", "/1/faces", face(3, descriptor(v4other, 0, 0, 0, 2))).status(201)
	x.call("POST", "/1/faces", face(4, floats(vL2, 0, 0, 0, 0))).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4other, 0, 0, 0, 0)), allFaces(figures))).status(201).part("0.matches.0.result", `[`+row(3, v4other, 1)+`]`)
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(59, make([]byte, 512)...)), allFaces(figures))).status(201).part("0.matches.0.result", `[]`)
	x.call("POST", "/1/matcher/faces?descriptor_version=4", matchBody(storedFace(1), allFaces(figures))).status(201).part("0.matches.0.result.0", row(1, v4, 0))
	x.call("POST", "/1/matcher/faces?descriptor_version=44", matchBody(storedFace(1), allFaces())).fault(31001, "references[0]", "44")
	x.call("POST", "/1/matcher/faces?descriptor_version=4", matchBody(storedFace(1)+","+storedFace(3), allFaces())).fault(31001, "references[1]", "44")
	x.call("POST", "/1/matcher/faces?descriptor_version=9", matchBody(storedFace(1), allFaces())).fault(12036, "descriptor_version", "9")
	x.call("POST", "/1/matcher/faces?descriptor_version=4294967295", matchBody(storedFace(1), allFaces())).fault(12036, "4294967295")
	x.call("POST", "/1/matcher/faces?descriptor_version=0", matchBody(storedFace(1), allFaces())).fault(12022, "descriptor_version", "0")
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(vBody, 1, 2, 3, 4)), allFaces())).fault(31001, "references[0]", "body")
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(9, 1, 2, 3, 4)), allFaces())).fault(12036, "references[0].data.version", "9")
}

func TestExplain(t *testing.T) {
	x := start(t)
	x.storeFaces(5)
	x.call("POST", "/1/faces", face(6, descriptor(v4other, 0, 0, 0, 2))).status(201)
	body := matchBody(storedFace(1)+","+storedFace(2), `{"filters":{"origin":"faces","face_id__gte":"`+id(3)+`"}}`)
	a := x.call("POST", "/1/matcher/faces?explain=1", body).status(201)
	for _, reference := range []string{"0", "1"} {
		plan := a.at(reference + ".matches.0.plan").(map[string]any)
		if k, ok := plan["kernel"].(string); !ok || !strings.HasPrefix(x.memory.Kernel(), strings.SplitN(k, "-", 2)[0]) {
			t.Errorf("kernel %v", plan["kernel"])
		}
		if ms, ok := plan["ms"].(float64); !ok || ms < 0 {
			t.Errorf("ms %v", plan["ms"])
		}
		delete(plan, "kernel")
		delete(plan, "ms")
		got := string(testkit.Must(json.Marshal(plan)))
		if want := `{"matchers":[{"chosen":true,"cost":100,"name":"memory","reason":"lowest cost"}],"prefilters":[],` +
			`"rows_other_version":1,"rows_scanned":3,"rows_selected":4,"shared_with":1}`; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	for _, query := range []string{"", "?explain=0"} {
		if _, ok := x.call("POST", "/1/matcher/faces"+query, body).status(201).at("0.matches.0").(map[string]any)["plan"]; ok {
			t.Errorf("the answer has a plan with the query %q", query)
		}
	}
	x.call("POST", "/1/matcher/faces?explain=yes", body).fault(12022, "explain", "yes")
	x.call("POST", "/1/matcher/faces?explain=1", matchBody(`{"type":"face_external_id","id":"nobody"}`, allFaces())).status(201).
		part("0.matches.0.plan.rows_scanned", "0").part("0.matches.0.plan.matchers", "[]")
}

func float32NaN() float32 { return float32(math.NaN()) }

func float32Inf() float32 { return float32(math.Inf(1)) }
