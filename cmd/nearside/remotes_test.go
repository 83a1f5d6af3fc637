package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
)

// newWorld generates the objects of the tests.
func newWorld(seed uint64) *world {
	w, rng := &world{}, rand.New(rand.NewPCG(seed, 1))
	descriptor := func() string {
		text := make([]byte, 16)
		for i := range text {
			text[i] = byte('a' + rng.IntN(16))
		}
		return string(text)
	}
	n := 0
	addObject := func(origin string, lists []string, at ...string) *object {
		n++
		o := &object{
			at: at, origin: origin, id: id(1+slices.Index([]string{"faces", "events", "attributes"}, origin), n), lists: lists,
			second: rng.IntN(100), face: descriptor(), account: testkit.Pick(rng, "", accountA, accountB),
		}
		if origin != "attributes" {
			o.external, o.data = fmt.Sprintf("key %d", n%7), fmt.Sprintf("%s %d", origin, n)
		}
		w.objects = append(w.objects, o)
		return o
	}
	for range 15 {
		addObject("faces", nil, "here")
		addObject("faces", []string{listHere}, "here")
		addObject("faces", []string{listEast}, "east")
		addObject("faces", []string{listBoth}, "east", "west")
		addObject("faces", []string{listEast, listBoth}, "east", "west")
		addObject("faces", []string{listWest}, "west")
		e := addObject("events", nil, "west")
		e.track = fmt.Sprintf("track %d", n%4)
		e.body = descriptor()
		addObject("attributes", nil, places[n%3])
	}
	addObject("faces", nil, "east").external = "only at east, in no list"
	addObject("events", nil, "west").face = ""
	w.objects[len(w.objects)-1].body = descriptor()
	addObject("events", nil, "east").external = "at a remote that does not own events"
	twin := *w.objects[0] // another face with the same ID
	twin.at, twin.face, twin.lists, twin.data = []string{"east"}, descriptor(), []string{listEast}, "the twin"
	w.objects = append(w.objects, &twin)
	return w
}

// first returns the first object that ok accepts.
func (w *world) first(ok func(*object) bool) *object {
	return w.objects[slices.IndexFunc(w.objects, ok)]
}

// someAt returns an object that only one server has.
func (w *world) someAt(origin, place string) *object {
	return w.first(func(o *object) bool {
		return o.origin == origin && slices.Equal(o.at, []string{place}) && o != w.objects[0]
	})
}

// trio is a server with two remotes, and the objects of all three.
type trio struct {
	*world
	here, east, west *process
	config           string // of here
}

// remoteLines returns the configuration of a trio's remotes.
func remoteLines(east, west *process) string {
	return fmt.Sprintf(`matchers:
  remote:
    - {name: east, url: "%s", lists: ["%s", "%s"]}
    - {name: west, url: "%s", cost: 10, origins: [events], lists: ["%s", "%s"]}
`, east.url, listEast, listBoth, west.url, listBoth, listWest)
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	w := &trio{world: newWorld(1)}
	w.east, w.west = serve(t, writeConfig(t, remotesConfig), t.TempDir()), serve(t, writeConfig(t, remotesConfig), t.TempDir())
	w.config = writeConfig(t, remotesConfig+remoteLines(w.east, w.west))
	w.here = serve(t, w.config, t.TempDir())
	w.storeObjects(t, w.here, "here")
	w.storeObjects(t, w.east, "east")
	w.storeObjects(t, w.west, "west")
	return w
}

// TestRemotes: a server with two remotes answers for the objects of all three.
func TestRemotes(t *testing.T) {
	t.Parallel()
	w := newTrio(t)
	t.Run("routing", w.routing)
	t.Run("references", w.references)
	t.Run("explain", w.explain)
	t.Run("random", w.random)
	t.Run("cross", w.cross)
	t.Run("writes", w.writes)
}

// matchAll sends requests and compares the answers with those of w.
func (w *trio) matchAll(t *testing.T, name string, requests ...*matchRequest) {
	t.Helper()
	for _, r := range requests {
		if _, _, err := w.match(w.here, r); err != nil {
			t.Errorf("%s: %v\n%s", name, err, mustJSON(t, r))
		}
	}
}

func faces(lists ...string) askedSet {
	return askedSet{Filters: askedFilters{Origin: "faces", Lists: lists}, Limit: 100}
}

func faceList(list string) askedSet {
	return askedSet{Filters: askedFilters{Origin: "faces", ListID: list}, Limit: 7}
}

func origin(name string) askedSet { return askedSet{Filters: askedFilters{Origin: name}, Limit: 100} }

var probe = rawReference("abcdefghijklmnop")

func (w *trio) routing(t *testing.T) {
	sets := map[string]askedSet{
		"here":                 faceList(listHere),
		"east":                 faceList(listEast),
		"west":                 faceList(listWest),
		"both":                 faceList(listBoth),
		"nowhere":              faceList(listNowhere),
		"no list":              faces(),
		"east and both":        faces(listEast, listBoth),
		"both and west":        faces(listBoth, listWest),
		"east and west":        faces(listEast, listWest),
		"here and east":        faces(listHere, listEast),
		"nowhere and here":     faces(listNowhere, listHere),
		"west and nowhere":     faces(listWest, listNowhere),
		"events":               origin("events"),
		"attributes":           origin("attributes"),
		"list_id and lists":    {Filters: askedFilters{Origin: "faces", ListID: listBoth, Lists: []string{listEast}}},
		"lists of two owners":  {Filters: askedFilters{Origin: "faces", ListID: listHere, Lists: []string{listEast}}},
		"key":                  {Filters: askedFilters{Origin: "faces", ListID: listEast, External: []string{"key 1", "key 2"}}},
		"targets":              {Filters: askedFilters{Origin: "faces", ListID: listEast}, Targets: []string{"user_data", "similarity"}},
		"targets without rows": {Filters: askedFilters{Origin: "events"}, Targets: []string{}},
		"threshold":            {Filters: askedFilters{Origin: "faces", ListID: listWest}, Threshold: 0.5, Limit: 50},
		"oldest":               {Filters: askedFilters{Origin: "events"}, Order: "create_time_asc", Threshold: 0.2, Targets: []string{"create_time"}},
		"newest":               {Filters: askedFilters{Origin: "faces", ListID: listBoth}, Order: "create_time_desc", Targets: []string{"distance"}},
	}
	codes := map[int]int{}
	for name, set := range sets {
		for _, account := range []string{"", accountA} {
			_, code, err := w.match(w.here, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{set}, account: account})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			codes[code]++
		}
	}
	if codes[0] != 36 || codes[31011] != 8 {
		t.Errorf("%v", codes)
	}
	several := &matchRequest{References: []askedReference{probe, rawReference("ponmlkjihgfedcba")}, Candidates: []askedSet{
		faceList(listEast), faceList(listHere), origin("events"), faces(), faceList(listWest), faces(listBoth), faceList(listEast), origin("attributes"),
	}}
	body := &matchRequest{References: []askedReference{{Type: "event", ID: w.someAt("events", "west").id}}, Candidates: []askedSet{origin("events"), faces()}, bodies: true}
	w.matchAll(t, "several sets", several, body)
}

func (w *trio) references(t *testing.T) {
	sets := []askedSet{faces(), faceList(listEast), origin("events")}
	check := func(name, typ, id string) {
		t.Helper()
		for _, account := range []string{"", accountA, accountB} {
			for _, bodies := range []bool{false, true} {
				w.matchAll(t, name, &matchRequest{References: []askedReference{{Type: typ, ID: id}}, Candidates: sets, account: account, bodies: bodies})
			}
		}
	}
	var several []askedReference
	for _, place := range places {
		check("face at "+place, "face", w.someAt("faces", place).id)
		check("attribute at "+place, "attribute", w.someAt("attributes", place).id)
		several = append(several, askedReference{Type: "face", ID: w.someAt("faces", place).id}, askedReference{Type: "attribute", ID: w.someAt("attributes", place).id})
	}
	check("event at west", "event", w.someAt("events", "west").id)
	check("event at east", "event", w.someAt("events", "east").id)
	check("two faces of one ID", "face", w.objects[0].id)
	for _, typ := range []string{"face", "event", "attribute"} {
		check("unknown "+typ, typ, listNowhere)
	}
	for n := range 7 {
		check("external ID of faces", "face_external_id", fmt.Sprintf("key %d", n))
		check("external ID of events", "event_external_id", fmt.Sprintf("key %d", n))
		check("track", "event_track_id", fmt.Sprintf("track %d", n))
	}
	check("face without a list", "face_external_id", "only at east, in no list")
	check("key with a comma", "face_external_id", "a,b")
	several = append(several, askedReference{Type: "face_external_id", ID: "key 3"}, probe, several[0], askedReference{Type: "event_track_id", ID: "none"})
	w.matchAll(t, "several references", &matchRequest{References: several, Candidates: sets},
		&matchRequest{References: append(slices.Clone(several), askedReference{Type: "event", ID: listNowhere}), Candidates: sets})
}

// explain: the plan has all matchers with their reasons.
func (w *trio) explain(t *testing.T) {
	f := func(set askedSet, chosen, reason string) {
		t.Helper()
		answer, _, err := w.match(w.here, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{set}})
		if err != nil {
			t.Fatal(err)
		}
		reasons := ""
		for _, m := range answer[0].Matches[0].Plan.Matchers {
			if reasons += m.Name + ": " + m.Reason + "; "; m.Chosen != (m.Name == chosen) {
				t.Errorf("want %s: %+v", chosen, m)
			}
		}
		if !strings.Contains(reasons, reason) {
			t.Errorf("want %q, got %q", reason, reasons)
		}
	}
	f(faces(), "memory", "east: answers only for the data that it owns; west: answers only for the data that it owns;")
	f(faceList(listHere), "memory", "east: answers only for the data that it owns")
	f(faceList(listEast), "east", "memory: the set is owned by remote east; east: owns the set; west: the set is owned by remote east;")
	f(faceList(listBoth), "west", "memory: the set is owned by remote east, west; east: owns the set; costs more; west: owns the set;") // cost 10
	f(origin("events"), "west", "memory: the set is owned by remote west")
	f(origin("attributes"), "memory", "")
}

// random sends random requests.
func (w *trio) random(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	codes := map[int]int{}
	for range 300 {
		r := w.randomRequest(rng, []string{listHere, listEast, listBoth, listWest, listNowhere})
		_, code, err := w.match(w.here, r)
		if err != nil {
			t.Fatalf("%v\n%s", err, mustJSON(t, r))
		}
		codes[code]++
	}
	if codes[0] < 100 || codes[31011] == 0 || codes[22004] == 0 || codes[22007] == 0 {
		t.Errorf("%v", codes)
	}
}

func (w *world) randomRequest(rng *rand.Rand, lists []string) *matchRequest {
	r := &matchRequest{account: testkit.Pick(rng, "", "", accountA, accountB)}
	for range 1 + rng.IntN(3) {
		o := testkit.Pick(rng, w.objects...)
		single := strings.TrimSuffix(o.origin, "s")
		switch testkit.Pick(rng, 0, 0, 0, 0, 0, 1, 2, 3, 3) {
		case 0:
			if o.descriptor(false) != "" && o.visible(r.account) {
				r.References = append(r.References, askedReference{Type: single, ID: o.id})
				continue
			}
			r.References = append(r.References, probe)
		case 1:
			r.References = append(r.References, askedReference{Type: single, ID: testkit.Pick(rng, o.id, listNowhere)})
		case 2:
			r.References = append(r.References, askedReference{Type: testkit.Pick(rng, "face_external_id", "event_external_id"), ID: testkit.Pick(rng, o.external, "x")})
			if last := &r.References[len(r.References)-1]; last.ID == "" {
				last.ID = "y"
			}
		case 3:
			r.References = append(r.References, probe)
		}
	}
	for range 1 + rng.IntN(3) {
		s := askedSet{
			Filters: askedFilters{Origin: testkit.Pick(rng, "faces", "faces", "faces", "events", "attributes")}, Limit: 1 + rng.IntN(30),
			Order: testkit.Pick(rng, "similarity", "similarity", "create_time_asc", "create_time_desc"), Threshold: testkit.Pick(rng, 0, 0.1, 0.6),
		}
		if s.Filters.Origin == "faces" {
			switch rng.IntN(4) {
			case 0:
				s.Filters.Lists = []string{testkit.Pick(rng, lists...), testkit.Pick(rng, lists...)}
			case 1, 2:
				s.Filters.ListID = testkit.Pick(rng, lists...)
			}
		}
		if s.Filters.Origin != "attributes" {
			s.Targets = testkit.Pick(rng, nil, []string{}, []string{"distance"}, []string{"user_data", "create_time", "similarity"})
		}
		r.Candidates = append(r.Candidates, s)
	}
	return r
}
