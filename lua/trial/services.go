package trial

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// connect sets the services of a plugin's host to those of the test.
func (t *trial) connect(o *lua.Options) error {
	if t.store == nil {
		m, err := newTrialMemory(t.clock.Now, t.options.MetaFields)
		if err != nil {
			return err
		}
		t.store = &storeDouble{memory: m, objects: map[storeKey]bool{}, lists: map[matcher.ID]*matcher.List{}, stored: t.sendEvent}
		t.local = &trialLocal{current: m}
	}
	o.Services = ns.Services{
		Matching: t.local, Metrics: t.meter,
		Resources: func() ns.Resources { return t.resources },
		Store:     t.store, Objects: t.store.memory, Decoder: func() *wire.Decoder { return t.store.memory.decoder },
	}
	return nil
}

// trialResources are the values that ns.resource returns in tests.
var trialResources = ns.Resources{
	CPU: time.Second, RSS: 256 << 20, Heap: 64 << 20, Goroutines: 40, Uptime: time.Minute, Workers: 2,
}

// processStart returns the time from which os.clock counts. With it, os.clock at the
// start of a test equals the processor time that ns.resource returns.
func processStart() time.Time { return startTime.Add(-trialResources.CPU) }

// A storeDouble is the store of one test. It keeps objects in memory and implements
// [ns.ObjectWriter].
type storeDouble struct {
	memory *trialMemory
	stored func(*matcher.Object) // called for each stored event

	mu      sync.Mutex
	objects map[storeKey]bool
	lists   map[matcher.ID]*matcher.List
	down    string // why writes fail; empty: they work
}

type storeKey struct {
	origin matcher.Origin
	id     matcher.ID
}

// lock locks the store for a write. If the test has set the store down, lock returns an
// error and does not lock it.
func (s *storeDouble) lock() error {
	s.mu.Lock()
	if s.down != "" {
		s.mu.Unlock()
		return matcher.Errorf(matcher.CodeUnavailable, "%s", s.down)
	}
	return nil
}

// PutObjects implements [ns.ObjectWriter].
func (s *storeDouble) PutObjects(_ context.Context, _ *matcher.ID, objects []*matcher.Object) (int, error) {
	if err := s.lock(); err != nil {
		return -1, err
	}
	defer s.mu.Unlock()
	for i, obj := range objects {
		if err := s.checkObject(obj); err != nil {
			return i, err
		}
	}
	for _, obj := range objects {
		slices.SortFunc(obj.Lists, matcher.ID.Compare)
		obj.Lists = slices.Compact(obj.Lists)
		s.objects[storeKey{obj.Origin, obj.ID}] = true
		s.memory.Apply([]store.Change{{Kind: store.PutObject, Object: obj}})
		if obj.Origin == matcher.Events {
			s.stored(obj)
		}
	}
	return 0, nil
}

// checkObject returns an error if obj cannot be stored. If obj has no account and replaces a
// stored object, it takes over the account of that object.
func (s *storeDouble) checkObject(obj *matcher.Object) error {
	if s.objects[storeKey{obj.Origin, obj.ID}] {
		old, _ := s.memory.Get(obj.Origin, obj.ID, nil, false)
		if !obj.Account.IsZero() && obj.Account != old.Account {
			return matcher.Errorf(matcher.CodeBadInput, "account_id: %s cannot be changed to %s", matcher.AccountText(old.Account), obj.Account)
		}
		obj.Account = old.Account
	}
	for n, id := range obj.Lists {
		switch l := s.lists[id]; {
		case l == nil:
			return matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", n, id)
		case !store.MayJoin(obj.Account, l.Account):
			return matcher.Errorf(matcher.CodeForbidden, "lists[%d]: %s belongs to another account than the %s", n, id, obj.Origin.Singular())
		}
	}
	return nil
}

// DeleteObject implements [ns.ObjectWriter].
func (s *storeDouble) DeleteObject(_ context.Context, _ *matcher.ID, o matcher.Origin, id matcher.ID) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if !s.objects[storeKey{o, id}] {
		return o.NotFound(id)
	}
	delete(s.objects, storeKey{o, id})
	s.memory.Apply([]store.Change{{Kind: store.DeleteObject, Origin: o, ID: id}})
	return nil
}

// Link implements [ns.ObjectWriter].
func (s *storeDouble) Link(_ context.Context, _ *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	l := s.lists[list]
	if l == nil {
		return matcher.ListNotFound(list)
	}
	for i, id := range faces {
		if !s.objects[storeKey{matcher.Faces, id}] {
			return matcher.Errorf(matcher.CodeFaceNotFound, "face_ids[%d]: %s does not exist", i, id)
		}
		if obj, _ := s.memory.Get(matcher.Faces, id, nil, false); attach && !store.MayJoin(obj.Account, l.Account) {
			return matcher.Errorf(matcher.CodeForbidden, "face_ids[%d]: %s belongs to another account than the list %s", i, id, list)
		}
	}
	for _, id := range faces {
		obj, _ := s.memory.Get(matcher.Faces, id, nil, true)
		obj.Lists = slices.DeleteFunc(slices.Clone(obj.Lists), func(l matcher.ID) bool { return l == list })
		if attach {
			obj.Lists = append(obj.Lists, list)
			slices.SortFunc(obj.Lists, matcher.ID.Compare)
		}
		s.memory.Apply([]store.Change{{Kind: store.PutObject, Object: &obj}})
	}
	return nil
}

// CreateList implements [ns.ObjectWriter].
func (s *storeDouble) CreateList(_ context.Context, l *matcher.List) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.lists[l.ID] != nil {
		return matcher.Errorf(matcher.CodeListExists, "list_id: %s exists already", l.ID)
	}
	s.lists[l.ID] = l
	s.memory.Apply([]store.Change{{Kind: store.PutList, List: l}})
	return nil
}

// listObjects returns the objects of an origin in the form of the API, sorted by id.
func (s *storeDouble) listObjects(o matcher.Origin) ([]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []matcher.ID
	for key := range s.objects {
		if key.origin == o {
			ids = append(ids, key.id)
		}
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	objects := []any{}
	for _, id := range ids {
		obj, _ := s.memory.Get(o, id, nil, true)
		v, err := goval.DecodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, wire.BinaryDescriptors))
		if err != nil {
			return nil, err
		}
		objects = append(objects, v)
	}
	return objects, nil
}

// A meterDouble keeps the values of ns.metrics. It implements [ns.Meter].
type meterDouble struct {
	mu     sync.Mutex
	values map[string]float64 // by name and label values
}

// Metric implements [ns.Meter].
func (d *meterDouble) Metric(_ string, s ns.MetricShape) (ns.Metric, error) {
	return &metricDouble{d, s}, nil
}

type metricDouble struct {
	*meterDouble
	shape ns.MetricShape
}

func metricKey(name string, labels []string) string {
	return name + "\x00" + strings.Join(labels, "\x00")
}

func (m *metricDouble) Add(v float64, labels []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shape.Kind == ns.Histogram {
		v = 1
	}
	m.values[metricKey(m.shape.Name, labels)] += v
	return nil
}

func (m *metricDouble) Set(v float64, labels []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[metricKey(m.shape.Name, labels)] = v
	return nil
}

func (m *metricDouble) Release() {}
