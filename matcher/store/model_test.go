package store

import (
	"context"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"nearside/matcher"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("NEARSIDE_STORE_CHILD"); dir != "" {
		childMain(dir)
	}
	os.Exit(m.Run())
}

// model is an applier made of maps. It is the oracle of these tests: it removes the
// faces of a deleted list one by one, while the store only forgets the list's number.
type model struct {
	mu      sync.Mutex
	objects map[key]*matcher.Object
	lists   map[matcher.ID]*matcher.List
	admit   func([]Change) error
	applies int
	held    int // calls of Hold without Apply or Withdraw
}

func newModel() *model {
	return &model{objects: map[key]*matcher.Object{}, lists: map[matcher.ID]*matcher.List{}}
}

func (m *model) Has(o matcher.Origin, id matcher.ID) bool { return m.object(o, id) != nil }

func (m *model) Admit(changes []Change) error {
	if m.admit != nil {
		return m.admit(changes)
	}
	return nil
}

func (m *model) Hold() { m.held++ }

func (m *model) Withdraw() { m.held-- }

func (m *model) Apply(changes []Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applies++
	m.held = max(0, m.held-1) // Open applies without Hold
	for _, c := range changes {
		switch c.Kind {
		case PutObject:
			if c.Created && m.objects[objectKey(c.Object.Origin, c.Object.ID)] != nil {
				panic("an object was created twice")
			}
			for _, id := range c.Object.Lists {
				if m.lists[id] == nil {
					panic("a face in a list that does not exist")
				}
			}
			m.objects[objectKey(c.Object.Origin, c.Object.ID)] = c.Object
		case DeleteObject:
			delete(m.objects, objectKey(c.Origin, c.ID))
		case PutList:
			m.lists[c.List.ID] = c.List
		case DeleteList:
			delete(m.lists, c.ID)
			for k, o := range m.objects {
				if i := slices.Index(o.Lists, c.ID); i >= 0 {
					o := *o
					if o.Lists = slices.Delete(slices.Clone(o.Lists), i, i+1); len(o.Lists) == 0 {
						o.Lists = nil
					}
					m.objects[k] = &o
				}
			}
		}
	}
}

func (m *model) object(o matcher.Origin, id matcher.ID) *matcher.Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[objectKey(o, id)]
}

func (m *model) list(id matcher.ID) *matcher.List {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lists[id]
}

// faces returns the IDs of the faces in a list.
func (m *model) faces(list matcher.ID) (ids []matcher.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.objects {
		if slices.Contains(o.Lists, list) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// equal fails the test if the data of m and want differ.
func (m *model) equal(t *testing.T, want *model) {
	t.Helper()
	if reflect.DeepEqual(want.objects, m.objects) && reflect.DeepEqual(want.lists, m.lists) {
		return // cmp is slow
	}
	if d := cmp.Diff(want.objects, m.objects, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("objects differ (-want +got):\n%.3000s", d)
	}
	if d := cmp.Diff(want.lists, m.lists); d != "" {
		t.Errorf("lists differ (-want +got):\n%.3000s", d)
	}
}

// noLeaks fails the test if a goroutine that it started still runs at its end.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// open opens a store with a new model. The store is closed at the end of the test.
func open(t *testing.T, o Options) (*Store, *model) {
	t.Helper()
	m := newModel()
	o.Applier = m
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && s.Err() == nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, m
}

// reopen closes s, opens its directory again and fails the test if the data differ
// from m.
func reopen(t *testing.T, s *Store, m *model) (*Store, *model) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s2, m2 := open(t, Options{Dir: s.opts.Dir, fs: s.opts.fs})
	m2.equal(t, m)
	return s2, m2
}

// id returns a fixed ID for n.
func id(n int) matcher.ID {
	var id matcher.ID
	id[0], id[14], id[15] = 0xab, byte(n>>8), byte(n)
	return id
}

// face returns a face with random contents.
func face(rng *rand.Rand, face matcher.ID, lists ...matcher.ID) *matcher.Object {
	data := make([]byte, 512)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	o := &matcher.Object{ID: face, CreateTime: matcher.Time(rng.Int64N(1 << 41)), UserData: string(data[:rng.IntN(20)]), Lists: lists}
	o.Age = matcher.SmallOf(data[0])
	o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: data}
	return o
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

var ctx = context.Background()

// wantCode fails the test unless err has the given code.
func wantCode(t *testing.T, err error, code matcher.Code) {
	t.Helper()
	if err == nil || matcher.CodeOf(err) != code {
		t.Errorf("got error %v (code %d), want code %d", err, matcher.CodeOf(err), code)
	}
}
