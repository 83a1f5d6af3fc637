package memory

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"nearside/matcher"
	"nearside/matcher/store"
)

// place is where an object is in the brute-force model.
type place struct {
	origin matcher.Origin
	id     matcher.ID
}

// plain is all objects of all origins as plain structs, and a clock.
type plain struct {
	oracle
	objects map[place]*matcher.Object
	clock   matcher.Time
}

func (p *plain) apply(changes []store.Change) {
	for _, c := range changes {
		switch c.Kind {
		case store.PutObject:
			p.objects[place{c.Object.Origin, c.Object.ID}] = c.Object
		case store.DeleteObject:
			delete(p.objects, place{c.Origin, c.ID})
		default:
			panic("no lists here")
		}
	}
}

// there reports whether x exists for the filter.
func (p *plain) there(o matcher.Origin, f *matcher.Filter, account *matcher.ID, x *matcher.Object) bool {
	if x.Origin != o || x.Origin == matcher.Attributes && x.Expires != 0 && x.Expires <= p.clock {
		return false
	}
	common, ids := *f, *f
	common.FaceIDs, common.EventIDs, common.AttributeIDs = nil, nil, nil
	common.Event = matcher.EventFilter{}
	is := func(want []matcher.ID, id matcher.ID) bool {
		return want == nil || !id.IsZero() && slices.Contains(want, id)
	}
	switch o {
	case matcher.Faces:
		return p.passes(&ids, account, x)
	case matcher.Attributes:
		return p.passes(&common, account, x) && is(f.AttributeIDs, x.ID)
	default:
		return p.passes(&common, account, x) && is(f.EventIDs, x.ID) && is(f.FaceIDs, x.Event.FaceID) && p.passesEvent(&f.Event, x.Event)
	}
}

func (p *plain) passesEvent(f *matcher.EventFilter, e *matcher.Event) bool {
	text := func(want []string, s string) bool { return want == nil || s != "" && slices.Contains(want, s) }
	id := func(want []matcher.ID, x matcher.ID) bool {
		return want == nil || !x.IsZero() && slices.Contains(want, x)
	}
	small := func(want []uint8, s matcher.Small) bool {
		v, ok := s.Get()
		return want == nil || ok && slices.Contains(want, v)
	}
	tag := f.Tags == nil
	for _, s := range e.Tags {
		tag = tag || slices.Contains(f.Tags, s)
	}
	place := f.Position == nil
	if l := e.Location.Position; l != nil && f.Position != nil {
		place = math.Abs(l.Longitude-f.Position.Longitude) <= f.Position.LongitudeDelta && math.Abs(l.Latitude-f.Position.Latitude) <= f.Position.LatitudeDelta
	}
	end := f.EndTime.IsZero() || e.EndTime != nil && matcher.InRange(f.EndTime, *e.EndTime)
	similar := f.TopMatchSimilarity.IsZero() || e.TopMatch.Similarity != nil && matcher.InRange(f.TopMatchSimilarity, *e.TopMatch.Similarity)
	for i := range f.Meta {
		if !passesMeta(&f.Meta[i], e.Meta) {
			return false
		}
	}
	l := &e.Location
	return tag && place && end && similar && text(f.Sources, e.Source) && text(f.TrackIDs, e.TrackID) && text(f.Cities, l.City) && text(f.Areas, l.Area) &&
		text(f.Districts, l.District) && text(f.Streets, l.Street) && text(f.HouseNumbers, l.HouseNumber) && text(f.TopMatchExternalIDs, e.TopMatch.ExternalID) &&
		id(f.HandlerIDs, e.HandlerID) && id(f.StreamIDs, e.StreamID) && id(f.TopMatchObjectIDs, e.TopMatch.ObjectID) &&
		small(f.Emotions, e.Emotion) && small(f.Masks, e.Mask)
}

func passesMeta(f *matcher.MetaFilter, meta string) bool {
	var value any
	if meta != "" {
		if err := json.Unmarshal([]byte(meta), &value); err != nil {
			panic(err)
		}
	}
	for name := range strings.SplitSeq(f.Field.Path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	for _, want := range f.Values {
		var sign int
		switch x := value.(type) {
		case float64:
			if f.Field.Type != matcher.MetaNumber {
				return false
			}
			sign = int(math.Copysign(1, x-want.Number))
			if x == want.Number {
				sign = 0
			}
		case string:
			if f.Field.Type != matcher.MetaString {
				return false
			}
			sign = strings.Compare(x, want.Text)
		case bool:
			if f.Field.Type != matcher.MetaBoolean {
				return false
			}
			sign = 1
			if x == (want.Number == 1) {
				sign = 0
			}
		default:
			return false
		}
		if (f.Op == matcher.MetaEQ || f.Op == matcher.MetaIn) && sign == 0 || f.Op == matcher.MetaGTE && sign >= 0 || f.Op == matcher.MetaLT && sign < 0 {
			return true
		}
	}
	return false
}

// selected returns the objects of a filter, by ID.
func (p *plain) selected(o matcher.Origin, f *matcher.Filter, account *matcher.ID) []*matcher.Object {
	var all []*matcher.Object
	for _, x := range p.objects {
		if p.there(o, f, account, x) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *matcher.Object) int { return a.ID.Compare(b.ID) })
	return all
}
