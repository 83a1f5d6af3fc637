package wire

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"nearside/matcher"
)

// generator makes random match requests and events. About half of them have faults.
type generator struct {
	*rand.Rand
	d *Decoder
}

// choose returns one of all.
func (g generator) choose(all ...any) any { return all[g.IntN(len(all))] }

// maybe sets each field of an object with a probability of one third. Rarely it
// sets a wrong value or a wrong name.
func (g generator) maybe(obj map[string]any, fields map[string]func() any) map[string]any {
	for key, field := range fields {
		switch g.IntN(60) {
		case 0:
			obj[key] = g.junk(3)
		case 1:
			obj[key+"x"] = field()
		default:
			if g.IntN(3) == 0 {
				obj[key] = field()
			}
		}
	}
	return obj
}

func (g generator) junk(depth int) any {
	if depth == 0 || g.IntN(3) > 0 {
		return g.choose(nil, true, -1, 1e300, 0.5, "é\n", "", uint64(1<<63), 300)
	}
	if g.IntN(2) == 0 {
		return []any{g.junk(depth - 1), g.junk(depth - 1)}
	}
	return map[string]any{"a": g.junk(depth - 1), "b": g.junk(depth - 1)}
}

func (g generator) id() any {
	return g.choose(idA.String(), idB.String(), "0A000000-0000-4000-8000-00000000000A")
}

func (g generator) descriptor() any {
	return g.choose(map[string]any{"version": 1001, "data": base64Of(1, 2, 3, byte(g.IntN(256)))},
		map[string]any{"version": 1001, "data": base64Of(1, 2, 3)}, map[string]any{"version": 2001, "data": floats(1, g.Float32())},
		map[string]any{"version": 1001, "data": base64Of(4, 3, 2, 1)},
		map[string]any{"version": 1001, "data": []any{1, 2.0, g.choose(255, 0, 256, 0.5, "1"), 4}},
		map[string]any{"version": 2001, "data": []any{g.choose(0.1, 1e39, -1e-50, uint64(1<<63)), g.Float32()}},
		sdkForm(1001, 1, 2, 3, 4))
}

func (g generator) reference() any {
	if g.IntN(3) == 0 {
		return g.maybe(map[string]any{"type": g.choose("face", "event", "face_external_id", "xpk_file"), "id": g.id()}, nil)
	}
	if g.IntN(6) == 0 {
		return g.maybe(map[string]any{"type": "together", "references": listOf(g, g.reference)()},
			map[string]func() any{"id": func() any { return g.choose("a", "") }, "fuse": func() any { return g.choose("best", "mean", "x") }})
	}
	return g.maybe(map[string]any{"type": g.choose("raw_descriptor", "sdk_descriptor"), "data": g.descriptor()},
		map[string]func() any{"id": func() any { return g.choose("a", "", "é") }, "object": func() any {
			return map[string]any{"type": g.choose("face", "event", "attribute", "faces"), "id": g.id()}
		}})
}

func listOf(g generator, element func() any) func() any {
	return func() any {
		all := []any{}
		for range g.IntN(4) {
			all = append(all, element())
		}
		return all
	}
}

func (g generator) set() any {
	small := func() any { return g.IntN(256) }
	text := func() any { return g.choose("a", "é", "") }
	time := func() any { return g.choose("now-5m", "now-3M", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+01:00") }
	if g.IntN(2) == 0 {
		return g.eventSet(small, text, time)
	}
	filters := g.maybe(map[string]any{"origin": "faces"}, map[string]func() any{
		"account_id": g.id, "create_time__gte": time, "create_time__lt": time, "user_data": text, "external_ids": listOf(g, text),
		"age__gte": small, "age__lt": small, "gender": small, "ethnic_groups": listOf(g, small), "event_ids": listOf(g, g.id),
		"face_ids": listOf(g, g.id), "face_id__gte": g.id, "face_id__lt": g.id, "list_id": g.id, "lists": listOf(g, g.id),
	})
	return g.maybe(map[string]any{"filters": filters}, map[string]func() any{
		"limit": func() any { return g.choose(1, 7, 5.0, 100) }, "threshold": func() any { return g.choose(0, 0.25, 1) },
		"order": func() any { return g.choose("similarity", "create_time_asc") }, "label": func() any { return g.junk(4) },
		"targets": listOf(g, func() any { return g.choose("age", "face_id", "similarity") }),
		"group":   g.grouping, "offset": func() any { return g.choose(0, 7, 50.0, 51) }, "count": func() any { return g.choose(true, false) },
		"exclude_self": func() any { return g.choose(true, false, 1) },
	})
}

func (g generator) grouping() any {
	return g.maybe(map[string]any{"by": g.choose("external_id", "external_id", "user_data", "user_data", "source", "age")},
		map[string]func() any{"size": func() any { return g.choose(1, 10, 3.0, 11) }})
}

func (g generator) eventSet(small, text, time func() any) any {
	number := func() any { return g.choose(0, 0.5, -3, 1e300, uint64(1<<63)) }
	flag := func() any { return g.choose(true, false) }
	box := func() any {
		return map[string]any{"origin_longitude": g.IntN(180), "origin_latitude": -0.5, "longitude_delta": g.choose(0, 1.5, 300), "latitude_delta": 2}
	}
	filters := g.maybe(map[string]any{"origin": "events"}, map[string]func() any{
		"account_id": g.id, "create_time__gte": time, "end_time__lt": time, "tags": listOf(g, text), "sources": listOf(g, text),
		"emotions": listOf(g, small), "handler_ids": listOf(g, g.id), "geo_position": box, "top_match_similarity__gte": number,
		"meta.shop.floor__gte": number, "meta.shop.floor__in": listOf(g, number), "meta.shop.name__in": listOf(g, text), "meta.vip__eq": flag,
	})
	return g.maybe(map[string]any{"filters": filters}, map[string]func() any{
		"limit": func() any { return g.choose(1, 100) }, "targets": listOf(g, func() any { return g.choose("tags", "meta", "event_id", "similarity") }),
		"group": g.grouping, "exclude_self": func() any { return true },
	})
}

// event returns a random event.
func (g generator) event() any {
	text := func() any { return g.choose("a", "é\n", "", nil) }
	small := func() any { return g.choose(0, 255, 7.0, nil) }
	location := func() any {
		return g.maybe(map[string]any{}, map[string]func() any{"city": text, "house_number": text, "geo_position": func() any {
			return map[string]any{"longitude": g.choose(-180, 0.1, 1e-9), "latitude": g.choose(90, -0.25)}
		}})
	}
	top := func() any {
		return g.maybe(map[string]any{}, map[string]func() any{"object_id": g.id, "external_id": text, "similarity": func() any { return g.choose(0, 1, 0.3) }})
	}
	return g.maybe(map[string]any{"face_descriptor": map[string]any{"version": 1001, "data": base64Of(1, 2, 3, 4)}}, map[string]func() any{
		"event_id": g.id, "end_time": func() any { return "2026-01-01T00:00:00.5+01:00" }, "source": text, "track_id": text,
		"tags": listOf(g, func() any { return g.choose("a", "é") }), "emotion": small, "sleeve_length": func() any { return g.choose(7.0, 256, nil, listOf(g, small)()) }, "location": location, "top_match": top,
		"meta":            func() any { return map[string]any{"a": g.junk(4), "b": g.junk(4)} },
		"body_descriptor": func() any { return map[string]any{"version": 3001, "data": base64Of(1, 2, 3, 4)} },
	})
}

// TestEventFormatsAgree: an event has the same meaning in both formats, and
// writing and reading it gives the same event.
func TestEventFormatsAgree(t *testing.T) {
	g := generator{seeded(3), newDecoder(t)}
	good := 0
	for range 5000 {
		text, err := json.Marshal([]any{g.event(), g.event()})
		if err != nil {
			t.Fatal(err)
		}
		packed, err := transcode(text)
		if err != nil {
			t.Fatal(err)
		}
		a, _, errA := g.d.Events(JSON, text)
		b, _, errB := g.d.Events(MessagePack, packed)
		if !reflect.DeepEqual(a, b) || fmt.Sprint(errA) != fmt.Sprint(errB) || matcher.CodeOf(errA) != matcher.CodeOf(errB) {
			t.Fatalf("%s\n%v, %v", text, errA, errB)
		}
		if errA != nil {
			if code := matcher.CodeOf(errA); code != matcher.CodeBadInput {
				t.Fatalf("%s\n%d %v", text, code, errA)
			}
			continue
		}
		good++
		for _, in := range a {
			checkAgain(t, g.d, &in.Object)
		}
	}
	t.Logf("%d of 5000 accepted", good)
	if good < 500 || good > 4500 {
		t.Errorf("%d of 5000 were accepted: too few are valid, or too few have faults", good)
	}
}

// checkAgain checks that writing an event and reading it gives the same event, in
// both formats.
func checkAgain(t *testing.T, d *Decoder, obj *matcher.Object) {
	t.Helper()
	if obj.ID.IsZero() {
		obj.ID = idA
	}
	line := AppendObject(nil, JSON, obj, nil, BinaryDescriptors)
	for _, f := range []Format{JSON, MessagePack} {
		again, err := d.Object(matcher.Events, f, AppendObject(nil, f, obj, nil, BinaryDescriptors))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if second := AppendObject(nil, JSON, &again.Object, nil, BinaryDescriptors); string(second) != string(line) {
			t.Fatalf("%s\n%s", line, second)
		}
	}
}

// TestFormatsAgree: a document has the same meaning or the same fault in both
// formats, and so does the answer.
func TestFormatsAgree(t *testing.T) {
	g := generator{seeded(2), newDecoder(t)}
	good := 0
	for range 5000 {
		doc := map[string]any{"references": []any{g.reference(), g.reference()}, "candidates": []any{g.set()}}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := transcode(text)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := g.d.Match(JSON, text, matcher.FaceDescriptor)
		b, errB := g.d.Match(MessagePack, packed, matcher.FaceDescriptor)
		if !reflect.DeepEqual(a, b) || fmt.Sprint(errA) != fmt.Sprint(errB) || matcher.CodeOf(errA) != matcher.CodeOf(errB) {
			t.Fatalf("%s\n%v, %v", text, errA, errB)
		}
		if code := matcher.CodeOf(errA); errA != nil && code != matcher.CodeBadInput {
			t.Fatalf("%s\n%d %v", text, code, errA)
		}
		if errA == nil {
			good++
			answersAgree(t, g, a)
		}
	}
	t.Logf("%d of 5000 accepted", good)
	if good < 500 || good > 4500 {
		t.Errorf("%d of 5000 were accepted: too few are valid, or too few have faults", good)
	}
}

func answersAgree(t *testing.T, g generator, req *MatchRequest) {
	t.Helper()
	results := make([][]matcher.Result, len(req.References))
	for i := range results {
		results[i] = make([]matcher.Result, len(req.Candidates))
		for j := range results[i] {
			for range g.IntN(3) {
				results[i][j].Matches = append(results[i][j].Matches,
					matcher.Match{ID: idA, Similarity: g.Float64(), Distance: g.ExpFloat64(), Object: fullFace(), Group: g.choose("", "é").(string)})
			}
			results[i][j].Count = g.IntN(1000)
		}
	}
	text := AppendMatches(nil, JSON, req, req.References, results, nil)
	packed := AppendMatches(nil, MessagePack, req, req.References, results, nil)
	if a, b := plainValue(t, JSON, text), plainValue(t, MessagePack, packed); !reflect.DeepEqual(a, b) {
		t.Fatalf("%v\n%v", a, b)
	}
}
