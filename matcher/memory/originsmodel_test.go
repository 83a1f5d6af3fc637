package memory

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// place identifies an object in the brute-force model.
type place struct {
	origin matcher.Origin
	id     matcher.ID
}

// originsModel has all objects of all origins as plain structs, and a clock.
type originsModel struct {
	memorytest.Oracle
	objects map[place]*matcher.Object
	clock   matcher.Time
}

// applyToModel applies the changes of a commit, which must not change lists.
func (p *originsModel) applyToModel(changes []store.Change) {
	for _, c := range changes {
		switch c.Kind {
		case store.PutObject:
			p.objects[place{c.Object.Origin, c.Object.ID}] = c.Object
		case store.DeleteObject:
			delete(p.objects, place{c.Origin, c.ID})
		default:
			panic("the model has no lists")
		}
	}
}

// isSelected reports whether a filter selects x for a request of account.
func (p *originsModel) isSelected(o matcher.Origin, f *matcher.Filter, account *matcher.ID, x *matcher.Object) bool {
	if x.Origin != o || x.Origin == matcher.Attributes && x.Expires != 0 && x.Expires <= p.clock {
		return false
	}
	common := *f
	common.Event = matcher.EventFilter{}
	return p.Passes(&common, account, x) && (o != matcher.Events || p.passesEvent(&f.Event, x.Event))
}

func (p *originsModel) passesEvent(f *matcher.EventFilter, e *matcher.Event) bool {
	tag := f.Tags == nil
	for _, s := range e.Tags {
		tag = tag || slices.Contains(f.Tags, s)
	}
	place := f.Position == nil
	if l := e.Location.Position; l != nil && f.Position != nil {
		apart := math.Abs(l.Longitude - f.Position.Longitude)
		place = min(apart, 360-apart) <= f.Position.LongitudeDelta && math.Abs(l.Latitude-f.Position.Latitude) <= f.Position.LatitudeDelta
	}
	end := f.EndTime.IsZero() || e.EndTime != nil && memorytest.InRange(f.EndTime, *e.EndTime)
	similar := f.TopMatchSimilarity.IsZero() || e.TopMatch.Similarity != nil && memorytest.InRange(f.TopMatchSimilarity, *e.TopMatch.Similarity)
	for i := range f.Meta {
		if !passesMeta(&f.Meta[i], e.Meta) {
			return false
		}
	}
	return tag && place && end && similar
}

func passesMeta(f *matcher.MetaFilter, meta string) bool {
	var value any
	if meta != "" {
		d := json.NewDecoder(strings.NewReader(meta))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
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
		case json.Number:
			if f.Field.Type != matcher.MetaNumber {
				return false
			}
			sign = exactNumber(x.String()).Cmp(exactNumber(fmt.Sprint(want.Number.Any())))
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
			if x == (want.Number.Float == 1) {
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

// exactNumber parses an integer without rounding, and any other number as float64.
func exactNumber(text string) *big.Float {
	if i, ok := new(big.Int).SetString(text, 10); ok {
		return new(big.Float).SetPrec(100).SetInt(i)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return new(big.Float).SetPrec(100).SetFloat64(f)
}

// selected returns the objects that a filter selects, ordered by ID.
func (p *originsModel) selected(o matcher.Origin, f *matcher.Filter, account *matcher.ID) []*matcher.Object {
	var all []*matcher.Object
	for _, x := range p.objects {
		if p.isSelected(o, f, account, x) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *matcher.Object) int { return a.ID.Compare(b.ID) })
	return all
}
