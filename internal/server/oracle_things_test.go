package server_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// The origins of the oracle, and what they are called.
const (
	inFaces = iota
	inEvents
	inAttributes
)

var (
	origins   = [3]string{"faces", "events", "attributes"}
	singulars = [3]string{"face", "event", "attribute"}
	notFound  = [3]int{22004, 22007, 22005}
)

// thing is a face, an event or an attribute.
type thing struct {
	origin int
	id     string
	// fields are what a client is shown unasked, as JSON has it. Times are in
	// one form, in which they compare as texts.
	fields  map[string]any
	vectors [2]*vector // face, body
}

func (t *thing) account() string { a, _ := t.fields["account_id"].(string); return a }
func (t *thing) time() string    { return t.fields["create_time"].(string) }

// visible reports whether a request of an account may see t.
func (t *thing) visible(account string) bool { return account == "" || t.account() == account }

// at returns a field; path may lead into objects.
func (t *thing) at(path string) (any, bool) {
	var v any = t.fields
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = fields[name]; !ok {
			return nil, false
		}
	}
	return v, v != ""
}

// shown is t with the fields that targets name; nil stands for all.
func (t *thing) shown(targets []any) map[string]any {
	if targets == nil {
		return maps.Clone(t.fields)
	}
	id := singulars[t.origin] + "_id"
	some := map[string]any{id: t.id}
	for _, name := range targets {
		if v, ok := t.fields[name.(string)]; ok {
			some[name.(string)] = v
		}
	}
	return some
}

// whole is t with its descriptors.
func (t *thing) whole() map[string]any {
	all := maps.Clone(t.fields)
	for i, v := range t.vectors {
		switch {
		case v == nil:
		case t.origin == inEvents:
			all[[2]string{"face_descriptor", "body_descriptor"}[i]] = v.json()
		default:
			all["descriptor"] = v.json()
		}
	}
	return all
}

// field makes a field of a thing.
type field struct {
	name string
	make func(w *world) any
}

func from(pool func(w *world) []string) func(*world) any {
	return func(w *world) any { return pick(w, pool(w)) }
}

func small(most int) func(*world) any {
	return func(w *world) any { return float64(w.rng.IntN(most + 1)) }
}

var (
	moment   = from(func(w *world) []string { return w.moments })
	userData = from(func(*world) []string { return []string{"a", "b", "A", "é", "e\u0301", "ß 😀", "x,y", "\u0000\"\\"} })
	person   = from(func(w *world) []string { return w.people })
	anyID    = from(func(w *world) []string { return w.ids })
	age      = func(w *world) any {
		if w.chance(0.05) {
			return float64(255 * w.rng.IntN(2))
		}
		return float64(w.rng.IntN(80))
	}
)

// shapes are the fields of things that may be absent.
var shapes = [3][]field{
	inFaces: {
		{"account_id", from(func(w *world) []string { return w.accounts })},
		{"external_id", person},
		{"user_data", userData},
		{"event_id", anyID},
		{"avatar", person},
		{"age", age},
		{"gender", small(1)},
		{"ethnic_group", small(5)},
	},
	inEvents: {
		{"account_id", from(func(w *world) []string { return w.accounts })},
		{"external_id", person},
		{"user_data", userData},
		{"end_time", moment},
		{"source", from(func(*world) []string { return []string{"cam-1", "cam-2", "cam-3", "камера №7", "Cam-1"} })},
		{"handler_id", anyID},
		{"stream_id", anyID},
		{"track_id", person},
		{"tags", (*world).tags},
		{"face_id", anyID},
		{"age", age},
		{"gender", small(1)},
		{"ethnic_group", small(5)},
		{"emotion", small(6)},
		{"mask", small(3)},
		{"location", (*world).location},
		{"top_match", (*world).topMatch},
		{"meta", (*world).meta},
	},
	inAttributes: {
		{"account_id", from(func(w *world) []string { return w.accounts })}, {"age", age}, {"gender", small(1)}, {"ethnic_group", small(5)},
	},
}

// tags are some of more names than a chunk has bits for; a few are frequent.
func (w *world) tags() any {
	var tags []any
	most := 4 // a chunk is of events of one pair of versions, which are few
	if w.chance(0.5) {
		most = 20
	}
	for range 1 + w.rng.IntN(most) {
		n := w.rng.IntN(200)
		if w.chance(0.4) {
			n %= 4
		}
		tags = append(tags, fmt.Sprintf("tag-%d", n)+strings.Repeat("ж", n%3))
	}
	return tags
}

// some are those of several fields that chance leaves.
func (w *world) some(fields []field, p float64) map[string]any {
	all := map[string]any{}
	for len(all) == 0 {
		for _, f := range fields {
			if w.chance(p) {
				all[f.name] = f.make(w)
			}
		}
	}
	return all
}

func place3(kind string) func(*world) any {
	return func(w *world) any { return fmt.Sprintf("%s %d", kind, w.rng.IntN(3)) }
}

func (w *world) location() any {
	return w.some([]field{
		{"city", place3("Köln")},
		{"area", place3("area")},
		{"district", place3("d")},
		{"street", place3("street")},
		{"house_number", place3("1/2a")},
		{"geo_position", func(w *world) any {
			return map[string]any{"longitude": float64(w.rng.IntN(9)-4) / 2, "latitude": float64(w.rng.IntN(9)-4) / 2}
		}},
	}, 0.5)
}

func (w *world) topMatch() any {
	return w.some([]field{{"object_id", anyID}, {"external_id", person}, {"similarity", func(w *world) any { return float64(w.rng.IntN(11)) / 10 }}}, 0.6)
}

// meta has the declared fields, also of other types than declared, and others.
func (w *world) meta() any {
	floor := func(w *world) any {
		return pick(w, []any{-1.0, 0.0, 1.0, 2.0, 2.5, 1e300, "2", true, nil, []any{1.0}})
	}
	name := func(w *world) any { return pick(w, []any{"a", "b", "bb", "é", "Z", 7.0, false}) }
	shop := func(w *world) any { return w.some([]field{{"floor", floor}, {"name", name}, {"x", floor}}, 0.6) }
	return w.some([]field{
		{"shop", shop},
		{"vip", func(w *world) any { return pick(w, []any{true, true, false, false, 1.0, "true"}) }},
		{"more", func(*world) any { return []any{1.0, nil, map[string]any{"a": "b"}} }},
	}, 0.6)
}

// thing is a random one with an id that nothing has.
func (w *world) thing(origin int) *thing {
	t := &thing{origin: origin, id: w.newID(), fields: map[string]any{"create_time": moment(w)}}
	for _, f := range shapes[origin] {
		if w.chance(0.65) {
			t.fields[f.name] = f.make(w)
		}
	}
	t.fields[singulars[origin]+"_id"] = t.id
	switch origin {
	case inFaces:
		t.vectors[0] = w.vector(w.model(false))
		t.fields["lists"] = w.listsFor(t.account())
	case inAttributes:
		body := w.chance(0.4)
		t.vectors[which(body)] = w.vector(w.model(body))
	default:
		if w.chance(0.75) {
			t.vectors[0] = w.vector(w.model(false))
		}
		if t.vectors[0] == nil || w.chance(0.5) {
			t.vectors[1] = w.vector(w.model(true))
		}
	}
	return t
}

// which is the place of a descriptor in vectors.
func which(body bool) int {
	if body {
		return 1
	}
	return 0
}

// written is t as a client may write it: times in other zones and with more
// digits, ids in upper case, null for what is absent, descriptors of the SDK.
func (w *world) written(t *thing) map[string]any {
	body := t.whole()
	for key, v := range body {
		text, _ := v.(string)
		switch {
		case strings.HasSuffix(key, "_time"):
			body[key] = w.spellTime(text)
		case strings.HasSuffix(key, "_id") && key != "external_id" && key != "track_id" && w.chance(0.05):
			body[key] = strings.ToUpper(text)
		case key == "descriptor" && w.chance(0.1):
			body[key] = t.vectors[which(t.vectors[0] == nil)].sdk()
		}
	}
	if absent := pick(w, shapes[t.origin]).name; w.chance(0.1) && body[absent] == nil {
		body[absent] = nil
	}
	return body
}

const clockForm = "2006-01-02T15:04:05.000Z"

// spellTime writes a moment in one of many ways.
func (w *world) spellTime(text string) string {
	at := must(time.Parse(clockForm, text))
	switch w.rng.IntN(8) {
	case 0:
		return at.In(time.FixedZone("", 2*3600+1800)).Format("2006-01-02T15:04:05.999999999-07:00")
	case 1:
		return at.Add(999 * time.Microsecond).Format("2006-01-02T15:04:05.000000Z")
	}
	return text
}

// newID is an id at a random place of their order.
func (w *world) newID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", w.rng.Uint32(), w.rng.IntN(1<<16), w.rng.IntN(1<<12), w.rng.IntN(1<<12), w.rng.Uint64()&(1<<48-1))
}

// find returns the thing of an id, nil if there is none.
func (h *holding) find(origin int, id string) *thing {
	if i := slices.IndexFunc(h.things[origin], func(t *thing) bool { return t.id == id }); i >= 0 {
		return h.things[origin][i]
	}
	return nil
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

func pick[T any](w *world, from []T) T { return from[w.rng.IntN(len(from))] }

// near is f or one of the floats beside it.
func (w *world) near(f float64) float64 {
	switch w.rng.IntN(3) {
	case 0:
		return math.Nextafter(f, 2)
	case 1:
		return math.Nextafter(f, -1)
	}
	return f
}
