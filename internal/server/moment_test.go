package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nearside/matcher"
)

// interrupted is a matcher that calls write once, after references were resolved and
// before sets are matched.
type interrupted struct {
	matcher.Matcher
	mu    sync.Mutex
	write func()
}

func (m *interrupted) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	m.mu.Lock()
	write := m.write
	m.write = nil
	m.mu.Unlock()
	if write != nil {
		write()
	}
	return m.Matcher.Match(ctx, subs)
}

// TestOneMoment checks that references, all sets and both sides of a cross match show
// the same state, for faces and bodies, although a write happens between them.
func TestOneMoment(t *testing.T) {
	m := &interrupted{}
	x := start(t, func(s *settings) {
		s.matcher = func(local matcher.Matcher) matcher.Matcher { m.Matcher = local; return m }
	})
	during := func(write func(), send func() *answer) *answer {
		t.Helper()
		m.mu.Lock()
		m.write = write
		m.mu.Unlock()
		a := send()
		if m.write != nil {
			t.Error("nothing was matched locally")
		}
		return a
	}
	put := func(value int, list string) {
		for n := 1; n <= 3; n++ {
			x.call("PUT", "/1/faces/"+id(n), fmt.Sprintf(`{"descriptor":%s,"external_id":"k","lists":[%s]}`, descriptor(v4, byte(value), 0, 0, byte(n)), list))
		}
	}
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	set := func(filter string) string {
		return `{"filters":{"origin":"faces",` + filter + `},"targets":["distance"]}`
	}
	inList, byLists := set(`"list_id":"`+id(9)+`"`), set(`"lists":["`+id(9)+`"]`)
	writes := []func(){
		func() { put(200, `"`+id(9)+`"`) },                             // changes the descriptors
		func() { put(100, "") },                                        // removes the faces from the list
		func() { x.call("DELETE", "/1/lists/"+id(9), "").status(204) }, // deletes the list
		func() { x.call("DELETE", "/1/faces/"+id(2), "").status(204) },
		func() {
			x.call("DELETE", "/1/lists/"+id(9), "").status(204)
			x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
		},
	}
	for i, write := range writes {
		for _, reference := range []string{`{"type":"face","id":"` + id(2) + `"}`, `{"type":"face_external_id","id":"k"}`} {
			x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`)
			put(7, `"`+id(9)+`"`)
			a := during(write, func() *answer { return x.call("POST", "/1/matcher/faces", matchBody(reference, inList+","+byLists)) }).status(201)
			for _, r := range items(t, a) {
				for s, set := range r.(map[string]any)["matches"].([]any) {
					rows := set.(map[string]any)["result"].([]any)
					if len(rows) != 3 || rows[0].(map[string]any)["distance"] != 0.0 {
						t.Errorf("write %d, %s, set %d: %v", i, reference, s, rows)
					}
				}
			}
		}
		x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`)
		put(7, `"`+id(9)+`"`)
		side := `{"filters":{"origin":"faces","list_id":"` + id(9) + `"}}`
		a := during(write, func() *answer {
			return x.call("POST", "/1/crossmatcher/faces", `{"references":`+side+`,"candidates":`+side+`,"targets":["distance"]}`)
		}).status(201)
		all := items(t, a)
		if len(all) != 3 {
			t.Errorf("write %d: %d references of a cross match", i, len(all))
		}
		for _, item := range all {
			rows := item.(map[string]any)["matches"].([]any)[0].(map[string]any)["result"].([]any)
			if len(rows) != 3 || rows[0].(map[string]any)["distance"] != 0.0 {
				t.Errorf("write %d, cross: %v", i, rows)
			}
		}
	}

	// Bodies of events.
	x.call("POST", "/1/events", `{"event_id":"`+id(1)+`","body_descriptor":`+descriptor(110, bytesOf(512, 3)...)+`}`).status(201)
	event := `{"filters":{"origin":"events","event_ids":["` + id(1) + `"]},"targets":["distance"]}`
	during(func() { x.call("DELETE", "/1/events/"+id(1), "").status(204) }, func() *answer {
		return x.call("POST", "/1/matcher/bodies", matchBody(`{"type":"event","id":"`+id(1)+`"}`, event))
	}).status(201).part("0.matches.0.result.0.distance", "0")
}

// TestOneMomentDuringWrites checks that a request sees each write completely or not
// at all, in all of its references and sets. Meanwhile a face gets other descriptors
// and lists, and events are created and deleted three at a time.
func TestOneMomentDuringWrites(t *testing.T) {
	x := start(t)
	const requests = 150
	var writes [2]atomic.Int64
	stop := make(chan struct{})
	var writers sync.WaitGroup
	defer func() {
		close(stop)
		writers.Wait()
	}()
	repeat := func(n int, write func(round int) bool) {
		writers.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				if !write(round) {
					t.Error("a write was refused")
					return
				}
				writes[n].Add(1)
			}
		})
	}
	done := func(a *answer) bool { return a.response.StatusCode < 300 }
	lists := []string{id(8), id(9)}
	for _, list := range lists {
		x.call("POST", "/1/lists", `{"list_id":"`+list+`"}`).status(201)
	}
	put := func(round int) bool {
		return done(x.call("PUT", "/1/faces/"+id(1), fmt.Sprintf(`{"descriptor":%s,"external_id":"k","lists":["%s"]}`, descriptor(v4, byte(round), 0, 0, 0), lists[round%2])))
	}
	put(0)
	repeat(0, put)
	repeat(1, func(round int) bool {
		var events []string
		for n := range 3 {
			events = append(events, event(3*round+n, `,"tags":["t"]`))
		}
		return done(x.call("POST", "/1/events", "["+strings.Join(events, ",")+"]")) && done(x.call("POST", "/1/events/delete", `{"filters":{"tags":["t"]}}`))
	})
	set := func(filter string) string { return `{"filters":{` + filter + `},"targets":["distance"]}` }
	listSets := set(`"origin":"faces","list_id":"`+id(8)+`"`) + "," + set(`"origin":"faces","list_id":"`+id(9)+`"`)
	tagged := set(`"origin":"events","tags":["t"]`)
	references := `{"type":"face","id":"` + id(1) + `"},{"type":"face_external_id","id":"k"}`
	self := `{"filters":{"origin":"faces","face_ids":["` + id(1) + `"]}}`
	rowsOf := func(item any, n int) []any {
		return item.(map[string]any)["matches"].([]any)[n].(map[string]any)["result"].([]any)
	}
	for n := 0; n < requests || writes[0].Load() < requests || writes[1].Load() < requests/10; n++ {
		all := items(t, x.call("POST", "/1/matcher/faces", matchBody(references, listSets+","+tagged+","+tagged)).status(201))
		if len(all) != 2 {
			t.Fatalf("%d references", len(all))
		}
		events := len(rowsOf(all[0], 2))
		for i, item := range all {
			rows := append(slices.Clone(rowsOf(item, 0)), rowsOf(item, 1)...)
			if len(rows) != 1 || rows[0].(map[string]any)["distance"] != 0.0 {
				t.Errorf("request %d, reference %d: the face is found as %v", n, i, rows)
			}
			if a, b := len(rowsOf(item, 2)), len(rowsOf(item, 3)); a != events || b != events || events%3 != 0 {
				t.Errorf("request %d, reference %d: %d, %d and %d events", n, i, events, a, b)
			}
		}
		cross := items(t, x.call("POST", "/1/crossmatcher/faces", `{"references":`+self+`,"candidates":`+self+`,"targets":["distance"]}`).status(201))
		if len(cross) != 1 || len(rowsOf(cross[0], 0)) != 1 || rowsOf(cross[0], 0)[0].(map[string]any)["distance"] != 0.0 {
			t.Errorf("request %d: the cross match has %v", n, cross)
		}
		if t.Failed() {
			break
		}
	}
}

// items returns the array of an answer.
func items(t *testing.T, a *answer) []any {
	t.Helper()
	var all []any
	if err := json.Unmarshal(a.body, &all); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return all
}

func bytesOf(n int, value byte) []byte { return []byte(strings.Repeat(string(rune(value)), n)) }
