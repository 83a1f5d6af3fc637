package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearside/internal/oracle"
)

// TestNumbersRoundTrip exports faces and events with descriptors as numbers, imports them
// into another server, and checks that its descriptors are the same, byte for byte.
func TestNumbersRoundTrip(t *testing.T) {
	x, y := start(t), start(t)
	r := rand.New(rand.NewPCG(5, 5))
	floats := func() []byte {
		var data []byte
		for range 4 {
			f := math.Float32frombits(r.Uint32())
			switch {
			case r.IntN(4) == 0:
				f = []float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, math.SmallestNonzeroFloat32, 0.1, -1, 1 << 24}[r.IntN(7)]
			case math.IsNaN(float64(f)) || math.IsInf(float64(f), 0):
				f = 1
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
		}
		return data
	}
	for n := range 200 {
		data := []byte{byte(n), 0, 128, 255}
		x.call("POST", "/1/faces", face(2*n, descriptor(v4, data...))).status(201)
		x.call("POST", "/1/faces", face(2*n+1, descriptor(vL2, floats()...))).status(201)
		x.call("POST", "/1/events", event(n, `,"body_descriptor":`+descriptor(vBody, data...))).status(201)
	}
	for _, origin := range []string{"faces", "events"} {
		lines := string(x.call("GET", "/1/export?descriptor=numbers&origin="+origin, "").status(200).body)
		if n := strings.Count(lines, `"data":[`); n < 200 || strings.Contains(lines, `"data":"`) {
			t.Errorf("%s: %d arrays: %.300s", origin, n, lines)
		}
		y.call("POST", "/1/import?origin="+origin, lines).status(200).part("rejected", "0")
		if want, got := x.exported(origin), y.exported(origin); !slices.Equal(want, got) {
			t.Errorf("%s: the copy differs", origin)
		}
		if plain := string(x.call("GET", "/1/export?descriptor=1&origin="+origin, "").status(200).body); len(plain) != len(strings.Join(x.exported(origin), "")) {
			t.Errorf("%s: ?descriptor=1 of an export", origin)
		}
	}
}

// TestNumbersOnRequest checks every request that returns or takes descriptors.
func TestNumbersOnRequest(t *testing.T) {
	x := start(t)
	const number = `{"version":%d,"data":[0,1.0,2e1,255]}`
	bytesOf := `{"version":%d,"data":"` + base64Of(0, 1, 20, 255) + `"}`
	const shown = `{"version":%d,"data":[0,1,20,255]}`
	x.call("POST", "/1/faces", face(1, fmt.Sprintf(number, v4))).status(201)
	x.call("PUT", "/1/faces/"+id(2), `{"descriptor":`+fmt.Sprintf(number, v4)+`}`).status(201)
	x.call("POST", "/1/faces", face(3, descriptor(v4, 9, 9, 9, 9))).status(201)
	x.call("PATCH", "/1/faces/"+id(3), `{"descriptor":`+fmt.Sprintf(number, v4)+`}`).status(200)
	x.call("PUT", "/1/attributes/"+id(4), packed(t, `{"descriptor":`+fmt.Sprintf(number, v4)+`}`), "Content-Type", "application/msgpack").status(201)
	for n := 1; n <= 4; n++ {
		path := "/1/faces/" + id(n)
		if n == 4 {
			path = "/1/attributes/" + id(n)
		}
		x.call("GET", path+"?descriptor=1", "").status(200).part("descriptor", fmt.Sprintf(bytesOf, v4))
		x.call("GET", path+"?descriptor=numbers", "").status(200).part("descriptor", fmt.Sprintf(shown, v4))
		x.call("GET", path+"?descriptor=numbers", "", "Accept", "application/msgpack").status(200).part("descriptor", fmt.Sprintf(shown, v4))
	}
	x.call("GET", "/1/faces?descriptor=numbers&face_ids="+id(2), "").status(200).part("faces.0.descriptor", fmt.Sprintf(shown, v4))
	x.call("POST", "/1/faces/find?descriptor=numbers", `{"filters":{"face_ids":["`+id(2)+`"]}}`).status(200).part("faces.0.descriptor", fmt.Sprintf(shown, v4))
	x.call("POST", "/1/matcher/raw", `{"references":[{"type":"raw_descriptor","data":`+fmt.Sprintf(number, v4)+`}],"candidates":[{"type":"raw_descriptor","data":`+fmt.Sprintf(bytesOf, v4)+`}]}`).
		status(201).part("0.matches.0.result.distance", "0")

	for _, path := range []string{"/1/faces/" + id(1), "/1/faces", "/1/events", "/1/attributes/" + id(4)} {
		for _, wrong := range []string{"2", "", "true", "Numbers", "base64"} {
			x.call("GET", path+"?descriptor="+wrong, "").fault(12022, `descriptor: must be 0, 1 or numbers, got "`+wrong+`"`)
		}
	}
	for _, wrong := range []string{"0", "2", ""} {
		x.call("GET", "/1/export?descriptor="+wrong, "").fault(12022, `descriptor: must be 1 or numbers in an export, got "`+wrong+`"`)
	}
	x.call("POST", "/1/faces/find?descriptor=x", `{}`).fault(12022, "descriptor: must be 0, 1 or numbers")
	x.call("POST", "/1/faces", face(5, fmt.Sprintf(`{"version":%d,"data":[0,1,2,3.5]}`, v4))).fault(12022, "descriptor.data[3]: must be an integer from 0 to 255, got 3.5")
	a := x.call("POST", "/1/import", face(6, fmt.Sprintf(`{"version":%d,"data":[0,1e39,2,3]}`, vL2))).status(200).part("accepted", "0")
	if got := a.at("errors.0.detail").(string); got != "descriptor.data[1]: must be a finite number within the range of float32, got 1e+39" {
		t.Error(got)
	}
}

// TestTogetherOfFaces checks the answer of a match with a reference of type together: its
// echo, its figures, its plan, and that plugins do not answer it.
func TestTogetherOfFaces(t *testing.T) {
	x := start(t, func(s *settings) {
		s.plugins = map[string]string{"fast": patient + `return {api = 1, name = "fast", kinds = {"matching"}, limits = slow,
			cost = function() return 0 end, match = function(self, req, set) return {} end}`}
	})
	rows := [][]byte{{0, 0, 0, 0}, {0, 0, 0, 4}, {6, 0, 0, 0}, {100, 100, 100, 100}}
	for n, data := range rows {
		x.call("POST", "/1/faces", face(n+1, descriptor(v4, data...), `,"external_id":"k`+itoa(n/2)+`"`)).status(201)
	}
	match := func(ref string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces?explain=1", matchBody(ref, `{"filters":{"origin":"faces"},"targets":["distance","similarity"]}`))
	}
	a := match(`{"type":"together","id":"mine","references":[` + key("k0") + `,{"type":"face","id":"` + id(3) + `"}]}`).status(201)
	a.part("0.reference", `{"type":"together","id":"mine"}`)
	if n := len(a.value().([]any)); n != 1 {
		t.Errorf("%d items", n)
	}
	ids := func(a *answer) (all []string) {
		for _, row := range a.at("0.matches.0.result").([]any) {
			all = append(all, row.(map[string]any)["face"].(map[string]any)["face_id"].(string))
		}
		return all
	}
	if got := ids(a); !slices.Equal(got, []string{id(1), id(2), id(3), id(4)}) {
		t.Errorf("best: %v", got)
	}
	a.part("0.matches.0.result.2.distance", "0").part("0.matches.0.result.3.distance", "38836") // 94 * 94 + 3 * 100 * 100, from face 3
	plan := oracle.JSON(a.at("0.matches.0.plan.matchers"))
	if !strings.Contains(plan, `"not for references of type together"`) || !strings.Contains(plan, `"chosen":true,"cost":100,"name":"memory"`) {
		t.Errorf("plan: %s", plan)
	}

	mean := match(`{"type":"together","fuse":"mean","references":[` + key("k0") + `,{"type":"face","id":"` + id(3) + `"}]}`).status(201)
	mean.part("0.reference", `{"type":"together","id":""}`)
	// The distances of face 1 from the three are 0, 16 and 36.
	mean.part("0.matches.0.result.0.face.face_id", `"`+id(1)+`"`).part("0.matches.0.result.0.distance", fmt.Sprint(52.0/3))
	similarity := func(d float64) float64 { return (1 + math.Exp(-5)) / (1 + math.Exp(0.1*(d-50))) }
	if got, want := mean.at("0.matches.0.result.0.similarity").(float64), (1+similarity(16)+similarity(36))/3; math.Abs(got-want) > 1e-12 {
		t.Errorf("mean similarity: %v, want %v", got, want)
	}
	match(`{"type":"together","id":"mine","references":[`+key("none")+`]}`).status(201).part("0.matches.0.result", "[]").part("0.reference", `{"type":"together","id":"mine"}`)
	match(`{"type":"together","references":[{"type":"face","id":"`+id(1)+`"},{"type":"raw_descriptor","data":`+descriptor(v4other, 1, 2, 3, 4)+`}]}`).fault(31005, "references[0].references[1]: ")

	// One picture gives the same answer as the same picture alone.
	for _, fuse := range []string{"best", "mean"} {
		one := match(`{"type":"together","fuse":"` + fuse + `","references":[{"type":"face","id":"` + id(2) + `"}]}`).status(201)
		if got, want := ids(one), []string{id(2), id(1), id(3), id(4)}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", fuse, got, want)
		}
	}
	if bytes.Contains(a.body, []byte("object_id")) {
		t.Errorf("%s", a.body)
	}
}
