package wire

import (
	"strings"
	"testing"

	"nearside/matcher"
)

func benchDecoder(b *testing.B) *Decoder {
	d := newDecoder(b)
	d.Limits = Limits{References: 1000, Candidates: 100, RawCandidates: 10000, Result: 1000, FilterValues: 100000}
	return d
}

func randomFace() *matcher.Object {
	rng := seeded(3)
	data := make([]byte, 512)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	face := fullFace()
	face.UserData = "original"
	face.Descriptors[0] = matcher.Descriptor{Version: 59, Data: data}
	return face
}

// BenchmarkFaceLine decodes one line of an import with a 512-byte descriptor.
func BenchmarkFaceLine(b *testing.B) {
	d := benchDecoder(b)
	line := AppendObject(nil, JSON, randomFace(), nil, BinaryDescriptors)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Lines(matcher.Faces).Decode(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMatch decodes a batch of 1000 references of 512 bytes.
func BenchmarkMatch(b *testing.B) {
	d := benchDecoder(b)
	desc := randomFace().Descriptors[0]
	text := base64Of(desc.Data...)
	ref := `{"type":"raw_descriptor","id":"probe","data":{"version":59,"data":"` + text + `"}},`
	doc := []byte(matchBody(strings.TrimSuffix(strings.Repeat(ref, 1000), ","), faces))
	packed := AppendValue(nil, MessagePack, map[string]any{
		"references": func() (refs []any) {
			for range 1000 {
				refs = append(refs, map[string]any{
					"type": "raw_descriptor", "id": "probe", "data": map[string]any{"version": 59, "data": desc.Data},
				})
			}
			return refs
		}(),
		"candidates": []any{map[string]any{"filters": map[string]any{"origin": "faces"}}},
	})
	for f, body := range [][]byte{doc, packed} {
		b.Run(strings.TrimPrefix(Format(f).MediaType(), "application/"), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Match(Format(f), body, matcher.FaceDescriptor); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppendMatches encodes an answer with 10 matches.
func BenchmarkAppendMatches(b *testing.B) {
	d := benchDecoder(b)
	req, err := d.Match(JSON, []byte(matchBody(rawRef, faces)), matcher.FaceDescriptor)
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]matcher.Match, 10)
	for i := range rows {
		rows[i] = matcher.Match{ID: idA, Distance: 1 / float64(i+3), Similarity: 1 / float64(i+7), Object: fullFace()}
	}
	results := [][]matcher.Result{{{Matches: rows}}}
	var dst []byte
	for _, f := range []Format{JSON, MessagePack} {
		b.Run(strings.TrimPrefix(f.MediaType(), "application/"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendMatches(dst[:0], f, req, req.References, results, nil)
			}
		})
	}
}
