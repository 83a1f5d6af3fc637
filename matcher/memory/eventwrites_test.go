package memory

import (
	"fmt"
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// TestFilterDuringEventWrites filters events while they are written and rewritten, so
// that tag names and lexicons grow during reads. Every selected event must pass the
// filter. After the writes, a filter must find all events that it describes.
func TestFilterDuringEventWrites(t *testing.T) {
	p := newOriginsPair(t, 11)
	const rounds, perRound = 60, 20
	event := func(n int) *matcher.Object {
		o := p.object(matcher.Events, 0, p.faces[:1], p.body)
		o.ID, o.Event.Source = matcher.ID{byte(n >> 8), byte(n), 1}, fmt.Sprint("s", n%7)
		o.Event.Tags = []string{fmt.Sprint("tag", n%100), "all"}
		return o
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			for n := r; ; n++ {
				source, tag := fmt.Sprint("s", n%7), fmt.Sprint("tag", n%100)
				p.checkFilter(t, source, tag)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for round := range rounds {
		var changes []store.Change
		for i := range perRound {
			changes = append(changes, store.Change{Kind: store.PutObject, Object: event((round*perRound + i) % 700)}) // later events replace earlier ones
		}
		if err := p.Admit(changes); err != nil {
			t.Error(err)
		}
		p.Apply(changes)
		if round%9 == 8 {
			p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
		}
	}
	close(done)
	readers.Wait()
	invariants(t, p.Memory)
	for n := range 7 {
		f := matcher.Filter{Fields: matcher.Where(matcher.AnyOf("source", fmt.Sprint("s", n))).Fields, Event: matcher.EventFilter{Tags: []string{"all"}}}
		if ids, err := p.IDs(t.Context(), matcher.Events, &f, nil); err != nil || len(ids) != 100 {
			t.Errorf("%d of 100 events of source %d: %v", len(ids), n, err)
		}
	}
}

// checkFilter reads the events of a source that have a tag, and checks each of them.
func (p *originsPair) checkFilter(t *testing.T, source, tag string) {
	f := matcher.Filter{Fields: matcher.Where(matcher.AnyOf("source", source)).Fields, Event: matcher.EventFilter{Tags: []string{tag, "none"}}}
	objects, n, err := p.Page(t.Context(), matcher.Events, &f, nil, matcher.Page{Size: 1000})
	if err != nil || n != len(objects) {
		t.Error(n, err)
	}
	for _, o := range objects {
		if o.Event.Source != source || o.Event.Tags[0] != tag {
			t.Errorf("%s has source %s and tags %v, not %s and %s", o.ID, o.Event.Source, o.Event.Tags, source, tag)
		}
	}
}
