package server_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestCrossMatch compares answers with pairs that the test computes.
func TestCrossMatch(t *testing.T) {
	x := start(t, func(s *settings) { s.cross = 200 })
	const n = 60
	at := func(i int) byte { return byte(i * i % 251) }
	for i := range n {
		x.call("POST", "/1/faces", face(i, descriptor(v4, at(i), 0, 0, 0), fmt.Sprintf(`,"age":%d`, i))).status(201)
	}
	type row struct {
		id       string
		distance float64
	}
	var answer []struct {
		Reference struct{ Type, ID string }
		Matches   []struct {
			Filters map[string]any
			Result  []struct {
				Face struct {
					FaceID string `json:"face_id"`
				}
				Distance float64
			}
		}
	}
	body := x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces","age__gte":10,"age__lt":25}},
		"candidates":{"filters":{"origin":"faces","age__lt":50}},"limit":4,"targets":["distance"]}`).status(201).body
	check(t, json.Unmarshal(body, &answer))
	if len(answer) != 15 {
		t.Fatalf("%d references", len(answer))
	}
	for r, item := range answer {
		i := 10 + r
		var want, got []row
		for j := range 50 {
			d := float64(at(i)) - float64(at(j))
			want = append(want, row{id(j), d * d})
		}
		slices.SortFunc(want, func(a, b row) int { return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.id, b.id)) })
		for _, m := range item.Matches[0].Result {
			got = append(got, row{m.Face.FaceID, m.Distance})
		}
		if item.Reference.Type != "face" || item.Reference.ID != id(i) || !slices.Equal(got, want[:4]) || fmt.Sprint(item.Matches[0].Filters) != "map[age__lt:50 origin:faces]" {
			t.Errorf("reference %d: %+v, want %v", i, item, want[:4])
		}
	}
	x.call("POST", "/1/crossmatcher/faces?explain=1", `{"references":{"filters":{"origin":"faces","age__lt":1}},"candidates":{"filters":{"origin":"faces"}}}`).
		status(201).part("0.matches.0.plan.rows_scanned", "60")
	for path, filters := range map[string]string{"/1/crossmatcher/bodies": `"origin":"faces"`, "/1/crossmatcher/faces": `"origin":"faces","face_ids":[]`} {
		a := x.call("POST", path, `{"references":{"filters":{`+filters+`}},"candidates":{"filters":{"origin":"faces"}}}`).status(201)
		if string(a.body) != "[]\n" {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// TestCrossMatchFaults checks that errors name their place in the request.
func TestCrossMatchFaults(t *testing.T) {
	x := start(t, func(s *settings) { s.cross = 5 })
	for i := range 3 {
		x.call("POST", "/1/faces", face(i, descriptor(v4, byte(i), 0, 0, 0), "")).status(201)
	}
	const side = `{"filters":{"origin":"faces"}}`
	for body, want := range map[string][]any{
		`{"references":` + side + `,"candidates":` + side + `}`:                                                {31002, "6 objects", "limit is 5"},
		`{"references":` + side + `}`:                                                                          {12022, "candidates: "},
		`{"candidates":` + side + `}`:                                                                          {12022, "references: "},
		`{"references":{},"candidates":` + side + `}`:                                                          {12022, "references.filters: "},
		`{"references":` + side + `,"candidates":{"filters":{"origin":"x"}}}`:                                  {12022, "candidates.filters.origin: "},
		`{"references":` + side + `,"candidates":` + side + `,"limit":0}`:                                      {12022, "limit: must be"},
		`{"references":` + side + `,"candidates":` + side + `,"threshold":2}`:                                  {12022, "threshold: must be"},
		`{"references":` + side + `,"candidates":` + side + `,"targets":["x"]}`:                                {12022, "targets"},
		`{"references":` + side + `,"candidates":` + side + `,"order":"similarity"}`:                           {12022, "order: "},
		`{"references":{"filters":{"origin":"faces"},"limit":1},"candidates":` + side + `}`:                    {12022, "references.limit: "},
		`{"references":{"filters":{"origin":"faces","account_id":"` + id(9) + `"}},"candidates":` + side + `}`: {31000, "references.filters.account_id"},
	} {
		details := []string{}
		for _, d := range want[1:] {
			details = append(details, d.(string))
		}
		path := "/1/crossmatcher/faces"
		if want[0] == 31000 {
			path += "?account_id=" + id(8)
		}
		x.call("POST", path, body).fault(want[0].(int), details...)
	}
}
