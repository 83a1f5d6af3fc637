package lua

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"nearside/lua/luatest"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/plugins"
)

// randomBytes fills data with a random descriptor: that of a reference, or of a face.
type randomBytes func(r *rand.Rand, data []byte, reference bool)

// A qdrantWorld has a store, the shipped plugin qdrant, and a peer that the plugin keeps in
// step with the store.
type qdrantWorld struct {
	*database
	host    *Host
	peer    *qdrantPeer
	log     *luatest.Lines
	random  *rand.Rand
	version *matcher.Version
	bytes   randomBytes
	faces   map[matcher.ID]*matcher.Object
}

var (
	qdrantLists    = []matcher.ID{matcher.MustID(list1), {0: 7}}
	qdrantAccounts = []matcher.ID{{0: 8}, {0: 9}}
)

func startQdrantWorld(t *testing.T, length, scale int, bytes randomBytes) *qdrantWorld {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	// The similarity is 1/2 at a distance that random descriptors have.
	version := matcher.Version{Number: 1, Length: length, Scale: scale, Similarity: matcher.Calibration{Midpoint: 5, Steepness: 0.5}}
	w := &qdrantWorld{
		database: openVersions(t, t.TempDir(), 0, []matcher.Version{version}), random: rand.New(rand.NewPCG(seed, 1)),
		bytes: bytes, faces: map[matcher.ID]*matcher.Object{},
	}
	w.version = w.registry.Version(1)
	for _, id := range qdrantLists {
		if err := w.store.CreateList(t.Context(), &matcher.List{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 300 {
		w.put(t, n)
	}
	peer, url := startQdrant(t, seed)
	w.peer = peer
	w.host, w.log = startHost(t, luatest.BackgroundPlugin(""), w.services, func(o *Options) {
		o.Shipped, o.Active = plugins.Files, []string{"qdrant"}
		o.Settings = map[string]any{"qdrant": map[string]any{"url": url, "version": 1.0, "size": float64(length)}}
		o.Clock, o.MatchStates = nil, 2
	})
	w.host.ServerReady()
	return w
}

// emit tells the plugin about a change.
func (w *qdrantWorld) emit(c *store.Change) {
	if w.host != nil {
		name, value := ChangeEvent(c)
		w.host.EmitFrom(name, "", value)
	}
}

// put stores face n with random fields. A face keeps its account.
func (w *qdrantWorld) put(t *testing.T, n int) {
	t.Helper()
	o := &matcher.Object{ID: faceID(n), CreateTime: matcher.Time(n)}
	if n%3 > 0 {
		o.Account = qdrantAccounts[n%3-1]
	}
	for _, id := range qdrantLists {
		if o.Account.IsZero() && w.random.IntN(2) == 0 {
			o.Lists = append(o.Lists, id)
		}
	}
	if w.random.IntN(10) > 0 {
		data := make([]byte, w.version.Length)
		w.bytes(w.random, data, false)
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: data}
	}
	if _, err := w.store.PutObjects(t.Context(), nil, []*matcher.Object{o}); err != nil {
		t.Fatal(err)
	}
	w.faces[o.ID] = o
	w.emit(&store.Change{Kind: store.PutObject, Object: o})
}

func (w *qdrantWorld) remove(t *testing.T, n int) {
	t.Helper()
	o := w.faces[faceID(n)]
	if o == nil {
		return
	}
	if err := w.store.DeleteObject(t.Context(), nil, matcher.Faces, o.ID); err != nil {
		t.Fatal(err)
	}
	delete(w.faces, o.ID)
	w.emit(&store.Change{Kind: store.DeleteObject, Object: o})
}

// inStep reports whether the collection has the faces that have a descriptor, as they are.
func (w *qdrantWorld) inStep() bool {
	if s := w.host.Plugins()[0]; s.Queued > 0 || s.Handling > 0 { // a change may be undone by a later one
		return false
	}
	w.peer.mu.Lock()
	defer w.peer.mu.Unlock()
	c := w.peer.collections["nearside"]
	if c == nil {
		return false
	}
	missing := maps.Clone(c.points)
	for id, o := range w.faces {
		d := o.Descriptors[matcher.FaceDescriptor]
		if len(d.Data) == 0 {
			continue
		}
		p := c.points[id.String()]
		if p == nil || !slices.EqualFunc(p.Vector, d.Data, func(x float32, y byte) bool { return x == float32(y) }) {
			return false
		}
		if lists, _ := p.Payload["lists"].([]any); len(lists) != len(o.Lists) {
			return false
		}
		delete(missing, id.String())
	}
	return len(missing) == 0
}

// sub returns a random sub-request. Sometimes a prefilter has narrowed its set.
func (w *qdrantWorld) sub(t *testing.T) matcher.SubRequest {
	t.Helper()
	c := &matcher.Candidates{Origin: matcher.Faces, Limit: 1 + w.random.IntN(20), Threshold: []float64{0, 0.5, 0.9}[w.random.IntN(3)], Targets: []string{"face_id"}}
	sub := matcher.SubRequest{Candidates: c, Version: w.version, RequestID: "1,x"}
	data := make([]byte, w.version.Length)
	w.bytes(w.random, data, true)
	sub.Reference = &matcher.Reference{Type: matcher.RefRaw, ID: "probe", Descriptor: matcher.Descriptor{Version: 1, Data: data}}
	switch w.random.IntN(4) {
	case 0:
		c.Filter.ListID = &qdrantLists[w.random.IntN(2)]
	case 1:
		sub.Account = &qdrantAccounts[w.random.IntN(2)]
	case 2:
		c.Filter.Account = &qdrantAccounts[w.random.IntN(2)]
	}
	if w.random.IntN(3) > 0 {
		return sub
	}
	whole, err := w.memory.Select(t.Context(), c, sub.Account)
	if err != nil {
		t.Fatal(err)
	}
	ids := slices.SortedFunc(maps.Keys(w.faces), matcher.ID.Compare)
	w.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	sub.Selection = whole.(*memory.Selection).ByID(ids[:len(ids)/2])
	return sub
}

// compare compares the answers of the plugin and of the local matcher to n sub-requests.
func (w *qdrantWorld) compare(t *testing.T, n int) {
	t.Helper()
	hooks, release := w.host.AcquireHooks()
	defer release()
	ties := 0
	for range n {
		sub := w.sub(t)
		if _, reason, ok := hooks.Matchers[0].Cost(t.Context(), &sub); !ok {
			t.Fatalf("no cost: %s", reason)
		}
		got, want := hooks.Matchers[0].Match(t.Context(), []matcher.SubRequest{sub})[0], w.memory.Match(t.Context(), []matcher.SubRequest{sub})[0]
		if got.Err != nil || want.Err != nil {
			t.Fatal(got.Err, want.Err)
		}
		if len(got.Matches) != len(want.Matches) || len(want.Matches) > 0 && !reflect.DeepEqual(got.Matches, want.Matches) {
			t.Fatalf("%+v: got %+v, want %+v", *sub.Candidates, got.Matches, want.Matches)
		}
		for i := 1; i < len(want.Matches); i++ {
			if want.Matches[i].Distance == want.Matches[i-1].Distance {
				ties++
			}
		}
	}
	if ties == 0 {
		t.Error("no two rows of an answer have the same distance")
	}
}

// TestQdrantEqualsMemory: the plugin's answers have the ids, distances, similarities and order
// of the local matcher's, also with ties, filters, thresholds and prefilters, and after changes.
func TestQdrantEqualsMemory(t *testing.T) {
	cases := map[string]struct {
		length, scale int
		bytes         randomBytes
	}{
		"ties": {2, 1, func(r *rand.Rand, data []byte, _ bool) {
			for i := range data {
				data[i] = byte(r.IntN(5))
			}
		}},
		// The distances are the sum of 400 * 255 * 255 and a small number, which single
		// precision cannot show.
		"precision": {512, 2000, func(r *rand.Rand, data []byte, reference bool) {
			if reference {
				data[r.IntN(len(data))] = 1
				return
			}
			for i := range data {
				data[i] = byte(r.IntN(2))
			}
			copy(data[r.IntN(112):], bytes.Repeat([]byte{255}, 400))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := startQdrantWorld(t, c.length, c.scale, c.bytes)
			luatest.WaitFor(t, w.inStep)
			w.waitForCost(t)
			w.compare(t, 300)
			for range 5 {
				for range 40 {
					if n := w.random.IntN(350); w.random.IntN(3) > 0 {
						w.put(t, n)
					} else {
						w.remove(t, n)
					}
				}
				luatest.WaitFor(t, w.inStep)
				w.waitForCost(t)
				w.compare(t, 50)
			}
			if w.peer.refused > 0 || w.peer.queries < 550 {
				t.Errorf("%d requests were refused, and there were %d queries; want none and at least 550\n%s", w.peer.refused, w.peer.queries, w.log.All())
			}
		})
	}
}

// waitForCost waits until the plugin offers to match.
func (w *qdrantWorld) waitForCost(t *testing.T) {
	t.Helper()
	luatest.WaitFor(t, func() bool {
		hooks, release := w.host.AcquireHooks()
		defer release()
		sub := matcher.SubRequest{Candidates: &matcher.Candidates{Origin: matcher.Faces, Limit: 1}, Version: w.version, Reference: &matcher.Reference{Type: matcher.RefRaw}}
		_, _, ok := hooks.Matchers[0].Cost(t.Context(), &sub)
		return ok
	})
}

// TestQdrantDown: while Qdrant does not answer, the plugin fails or has no cost, and the log
// says why. Then it catches up.
func TestQdrantDown(t *testing.T) {
	w := startQdrantWorld(t, 2, 1, func(r *rand.Rand, data []byte, _ bool) { data[0] = byte(r.IntN(9)) })
	w.waitForCost(t)
	w.peer.mu.Lock()
	w.peer.down = true
	w.peer.mu.Unlock()
	sub := w.sub(t)
	hooks, release := w.host.AcquireHooks()
	result := hooks.Matchers[0].Match(t.Context(), []matcher.SubRequest{sub})[0]
	release()
	if result.Err == nil {
		t.Error("it has answered without Qdrant")
	}
	w.put(t, 1000)
	w.log.Wait(t, "the collection is behind")
	luatest.WantLines(t, w.log.All(), fmt.Sprintf("status %d", 503))
	w.peer.mu.Lock()
	w.peer.down = false
	w.peer.mu.Unlock()
	w.log.Wait(t, "in step again")
	if !w.inStep() {
		t.Error("the collection is not in step")
	}
}
