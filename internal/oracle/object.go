package oracle

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"nearside/internal/testkit"
)

// The origins, as indices.
const (
	faceOrigin = iota
	eventOrigin
	attributeOrigin
)

var (
	// Origins are the names of the origins.
	Origins   = [3]string{"faces", "events", "attributes"}
	singulars = [3]string{"face", "event", "attribute"}
	notFound  = [3]int{22004, 22007, 22005}
)

// object is a face, an event or an attribute.
type object struct {
	origin int
	id     string
	// fields are the fields that an answer has by default, as decoded JSON. Times are
	// in clockForm, in which they compare as text.
	fields  map[string]any
	vectors [2]*vector // face, body
}

// account returns the account of o, "" if it has none.
func (o *object) account() string { a, _ := o.fields["account_id"].(string); return a }
func (o *object) time() string    { return o.fields["create_time"].(string) }

// visible reports whether a request of an account may see o.
func (o *object) visible(account string) bool { return account == "" || o.account() == account }

// field returns the field at a path with dots. An empty text counts as absent.
func (o *object) field(path string) (any, bool) {
	var v any = o.fields
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

// shown returns o with the fields that targets name; nil: all fields.
func (o *object) shown(targets []any) map[string]any {
	if targets == nil {
		return maps.Clone(o.fields)
	}
	id := singulars[o.origin] + "_id"
	fields := map[string]any{id: o.id}
	for _, name := range targets {
		if v, ok := o.fields[name.(string)]; ok {
			fields[name.(string)] = v
		}
	}
	return fields
}

// whole returns o with its descriptors.
func (o *object) whole() map[string]any {
	all := maps.Clone(o.fields)
	for i, v := range o.vectors {
		switch {
		case v == nil:
		case o.origin == eventOrigin:
			all[[2]string{"face_descriptor", "body_descriptor"}[i]] = v.json()
		default:
			all["descriptor"] = v.json()
		}
	}
	return all
}

// field is a field of an object with a generator of random values.
type field struct {
	name string
	make func(w *World) any
}

// pickFrom returns a generator that picks from a pool.
func pickFrom(pool func(w *World) []string) func(*World) any {
	return func(w *World) any { return testkit.Pick(w.rng, pool(w)...) }
}

// upTo returns a generator of integers from 0 to last.
func upTo(last int) func(*World) any {
	return func(w *World) any { return float64(w.rng.IntN(last + 1)) }
}

var (
	moment   = pickFrom(func(w *World) []string { return w.moments })
	userData = pickFrom(func(*World) []string { return []string{"a", "b", "A", "é", "e\u0301", "ß 😀", "x,y", "\u0000\"\\"} })
	person   = pickFrom(func(w *World) []string { return w.people })
	anyID    = pickFrom(func(w *World) []string { return w.ids })
	age      = func(w *World) any {
		if w.Chance(0.05) {
			return float64(255 * w.rng.IntN(2))
		}
		return float64(w.rng.IntN(80))
	}
)

// optional has the fields of each origin that may be absent.
var optional = [3][]field{
	faceOrigin: {
		{"account_id", pickFrom(func(w *World) []string { return w.accounts })},
		{"external_id", person},
		{"user_data", userData},
		{"event_id", anyID},
		{"avatar", person},
		{"age", age},
		{"gender", upTo(1)},
		{"ethnic_group", upTo(5)},
	},
	eventOrigin: {
		{"account_id", pickFrom(func(w *World) []string { return w.accounts })},
		{"external_id", person},
		{"user_data", userData},
		{"end_time", moment},
		{"source", pickFrom(func(*World) []string { return []string{"cam-1", "cam-2", "cam-3", "камера №7", "Cam-1"} })},
		{"handler_id", anyID},
		{"stream_id", anyID},
		{"track_id", person},
		{"tags", (*World).tags},
		{"face_id", anyID},
		{"age", age},
		{"gender", upTo(1)},
		{"ethnic_group", upTo(5)},
		{"emotion", upTo(6)},
		{"mask", upTo(3)},
		{"location", (*World).location},
		{"top_match", (*World).topMatch},
		{"meta", (*World).meta},
	},
	attributeOrigin: {
		{"account_id", pickFrom(func(w *World) []string { return w.accounts })}, {"age", age}, {"gender", upTo(1)}, {"ethnic_group", upTo(5)},
	},
}

// tags returns random tags from more names than a chunk has bits for. Four of the
// names are frequent.
func (w *World) tags() any {
	var tags []any
	count := 4 // few tags, because a chunk only has the events of one pair of versions
	if w.Chance(0.5) {
		count = 20
	}
	for range 1 + w.rng.IntN(count) {
		n := w.rng.IntN(200)
		if w.Chance(0.4) {
			n %= 4
		}
		tags = append(tags, fmt.Sprintf("tag-%d", n)+strings.Repeat("ж", n%3))
	}
	return tags
}

// randomFields returns at least one of fields, each with probability p.
func (w *World) randomFields(fields []field, p float64) map[string]any {
	all := map[string]any{}
	for len(all) == 0 {
		for _, f := range fields {
			if w.Chance(p) {
				all[f.name] = f.make(w)
			}
		}
	}
	return all
}

// placeName returns a generator of three names of places.
func placeName(kind string) func(*World) any {
	return func(w *World) any { return fmt.Sprintf("%s %d", kind, w.rng.IntN(3)) }
}

func (w *World) location() any {
	return w.randomFields([]field{
		{"city", placeName("Köln")},
		{"area", placeName("area")},
		{"district", placeName("d")},
		{"street", placeName("street")},
		{"house_number", placeName("1/2a")},
		{"geo_position", func(w *World) any {
			return map[string]any{"longitude": w.longitude(), "latitude": float64(w.rng.IntN(9)-4) / 2}
		}},
	}, 0.5)
}

// longitude returns a longitude near 0 or near 180 degrees.
func (w *World) longitude() float64 {
	n := w.rng.IntN(15)
	if n < 9 {
		return float64(n-4) / 2
	}
	return []float64{-180, -179.5, -179, 179, 179.5, 180}[n-9]
}

func (w *World) topMatch() any {
	return w.randomFields([]field{{"object_id", anyID}, {"external_id", person}, {"similarity", func(w *World) any { return float64(w.rng.IntN(11)) / 10 }}}, 0.6)
}

// bigIntegers are 64-bit integers that are close to each other, and the float64
// values next to them.
var bigIntegers = []any{
	0x1p53, Integer("9007199254740993"), Integer("9007199254740994"), Integer("-9007199254740993"),
	Integer("1867095692340801536"), Integer("1867095692340801537"), Integer("9223372036854775807"), Integer("9223372036854775808"),
	Integer("18446744073709551615"), 0x1p64, Integer("-9223372036854775807"), Integer("-9223372036854775808"), -0x1p64,
}

// meta returns declared fields, some with another type than declared, and undeclared
// fields.
func (w *World) meta() any {
	floor := func(w *World) any {
		return testkit.Pick(w.rng, []any{-1.0, 0.0, 1.0, 2.0, 2.5, 1e300, "2", true, nil, []any{1.0}, testkit.Pick(w.rng, bigIntegers...)}...)
	}
	name := func(w *World) any { return testkit.Pick(w.rng, []any{"a", "b", "bb", "é", "Z", 7.0, false}...) }
	shop := func(w *World) any {
		return w.randomFields([]field{{"floor", floor}, {"name", name}, {"x", floor}}, 0.6)
	}
	return w.randomFields([]field{
		{"shop", shop},
		{"vip", func(w *World) any { return testkit.Pick(w.rng, []any{true, true, false, false, 1.0, "true"}...) }},
		{"more", func(*World) any { return []any{1.0, nil, map[string]any{"a": "b"}} }},
	}, 0.6)
}

// newObject returns a random object with a new ID.
func (w *World) newObject(origin int) *object {
	o := &object{origin: origin, id: w.newID(), fields: map[string]any{"create_time": moment(w)}}
	for _, f := range optional[origin] {
		if w.Chance(0.65) {
			o.fields[f.name] = f.make(w)
		}
	}
	o.fields[singulars[origin]+"_id"] = o.id
	switch origin {
	case faceOrigin:
		o.vectors[0] = w.newVector(w.randomModel(false))
		o.fields["lists"] = w.listsFor(o.account())
	case attributeOrigin:
		body := w.Chance(0.4)
		o.vectors[vectorIndex(body)] = w.newVector(w.randomModel(body))
	default:
		if w.Chance(0.75) {
			o.vectors[0] = w.newVector(w.randomModel(false))
		}
		if o.vectors[0] == nil || w.Chance(0.5) {
			o.vectors[1] = w.newVector(w.randomModel(true))
		}
	}
	return o
}

// vectorIndex returns the index of a descriptor in object.vectors.
func vectorIndex(body bool) int {
	if body {
		return 1
	}
	return 0
}

// spellObject returns o as a client may write it: times in other zones and with more
// digits, IDs in upper case, null for an absent field, a descriptor from the SDK.
func (w *World) spellObject(o *object) map[string]any {
	body := o.whole()
	for _, key := range slices.Sorted(maps.Keys(body)) { // in a fixed order, for the random numbers
		text, _ := body[key].(string)
		switch {
		case strings.HasSuffix(key, "_time"):
			body[key] = w.spellTime(text)
		case strings.HasSuffix(key, "_id") && key != "external_id" && key != "track_id" && w.Chance(0.05):
			body[key] = strings.ToUpper(text)
		case key == "descriptor" && w.Chance(0.1):
			body[key] = o.vectors[vectorIndex(o.vectors[0] == nil)].sdk()
		case strings.HasSuffix(key, "descriptor") && w.Chance(0.12):
			w.Seen["numbers in a body"]++
			body[key] = w.spelledNumbers(givenVector(body[key]))
		}
	}
	if absent := testkit.Pick(w.rng, optional[o.origin]...).name; w.Chance(0.1) && body[absent] == nil {
		body[absent] = nil
	}
	return body
}

// clockForm is the form of times in answers.
const clockForm = "2006-01-02T15:04:05.000Z"

// spellTime writes a time in one of the forms that a request may have.
func (w *World) spellTime(text string) string {
	at := testkit.Must(time.Parse(clockForm, text))
	switch w.rng.IntN(9) {
	case 2:
		return strings.ToLower(text)
	case 3:
		if lastSecond := at.Format("15:04:05") == "23:59:59" && at.AddDate(0, 0, 1).Day() == 1; lastSecond && at.Nanosecond() == 999e6 {
			return strings.Replace(at.In(time.FixedZone("", 3600*w.rng.IntN(5))).Format(time.RFC3339), ":59:59", ":59:60", 1)
		}
	case 0:
		return at.In(time.FixedZone("", 2*3600+1800)).Format("2006-01-02T15:04:05.999999999-07:00")
	case 1:
		return at.Add(999 * time.Microsecond).Format("2006-01-02T15:04:05.000000Z")
	}
	return text
}

// newID returns a random ID.
func (w *World) newID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", w.rng.Uint32(), w.rng.IntN(1<<16), w.rng.IntN(1<<12), w.rng.IntN(1<<12), w.rng.Uint64()&(1<<48-1))
}

// find returns the object with an ID, or nil.
func (h *holding) find(origin int, id string) *object {
	if i := slices.IndexFunc(h.objects[origin], func(o *object) bool { return o.id == id }); i >= 0 {
		return h.objects[origin][i]
	}
	return nil
}

// near returns f or the next float above or below.
func (w *World) near(f float64) float64 {
	switch w.rng.IntN(3) {
	case 0:
		return math.Nextafter(f, 2)
	case 1:
		return math.Nextafter(f, -1)
	}
	return f
}
