package route_test

import (
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// TestCross: each selected object with a descriptor becomes a reference, sorted by
// ID, and is matched against the other set.
func TestCross(t *testing.T) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	local, selected := costs("local", 100), &selector{}
	many := objects{}
	for n := byte(200); n > 0; n-- {
		many[n] = &matcher.Object{ID: id(n)}
		if n%2 == 0 {
			many[n].Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: []byte{n}}
		}
	}
	r := route.New(route.Options{Registry: registry, Moments: frozen{many, selected}, Local: local})
	req := &route.CrossRequest{ObjectsMax: 1000, RowsMax: 300, CrossMatch: matcher.CrossMatch{
		References: &matcher.Candidates{}, Candidates: &matcher.Candidates{Limit: 3}, Explain: true, RequestID: "id",
	}}
	a, err := r.Cross(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for i, ref := range a.References {
		got = append(got, ref.ID)
		if ref.Type != matcher.RefFace || ref.Descriptor.Data[0] != byte(2*i+2) || a.Results[i][0].Matches[0].Distance != float64(2*i+2)*1000+3 || a.Plans[i][0].Kernel != "local" {
			t.Errorf("reference %d: %+v, %+v", i, ref, a.Results[i][0])
		}
	}
	for n := 2; n <= 200; n += 2 {
		want = append(want, id(byte(n)).String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}

	for detail, change := range map[string]func(*route.CrossRequest){
		"references and candidates: they select 1000 objects with a face descriptor to compare, the limit is 999": func(r *route.CrossRequest) { r.ObjectsMax = 999 },
		"allow 3 rows for each of 100 references, in all":                                                         func(r *route.CrossRequest) { r.RowsMax = 299 },
	} {
		changed := *req
		change(&changed)
		if _, err := r.Cross(t.Context(), &changed); err == nil || !strings.Contains(err.Error(), detail) {
			t.Errorf("%v, want %s", err, detail)
		}
	}
}
