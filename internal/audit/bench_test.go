package audit

import (
	"testing"

	"nearside/matcher"
)

// BenchmarkAdd measures the line of a small match: one descriptor of 512 bytes, ten rows.
func BenchmarkAdd(b *testing.B) {
	x := open(b, b.TempDir(), &keeper{}, func(s *Settings) { s.MaxBytes = 100 << 20 })
	defer x.kill()
	references := []matcher.Reference{{Type: matcher.RefRaw, ID: "probe", Descriptor: matcher.Descriptor{Data: make([]byte, 512)}}}
	results := [][]matcher.Result{{{Matches: make([]matcher.Match, 10)}}}
	for b.Loop() {
		e := &Entry{
			RequestID: "1796128954,00000000-0000-4000-8000-000000000000", Key: "gate-7", Address: "127.0.0.1", Operation: "matchFaces", Target: "/1/matcher/faces",
			Start: *x.clock, Filters: [][]byte{[]byte(`{"origin":"faces","list_id":"00000000-0000-4000-8000-000000000000"}`)},
		}
		e.AddReferences(references)
		e.AddRows(results)
		if err := x.Add(e, 201); err != nil {
			b.Fatal(err)
		}
	}
}
