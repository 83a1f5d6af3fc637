package lua

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// connect gives a plugin's host the services of the test.
func (t *trial) connect(o *Options) error {
	if t.store == nil {
		m, err := newTrialMemory(t.clock.Now)
		if err != nil {
			return err
		}
		t.store = &storeDouble{memory: m, objects: map[storeKey]bool{}, lists: map[matcher.ID]*matcher.List{}, stored: t.sendEvent}
		t.local = &trialLocal{now: m}
	}
	o.Services = Services{
		Matching: t.local, Metrics: t.meter,
		Resources: func() Resources { return t.figures },
		Store:     t.store, Objects: t.store.memory, Decoder: func() *wire.Decoder { return t.store.memory.decoder },
	}
	return nil
}

// trialFigures are what ns.resource tells in tests.
var trialFigures = Resources{
	CPU: time.Second, RSS: 256 << 20, Heap: 64 << 20, Goroutines: 40, Uptime: time.Minute, Workers: 2,
}

// A storeDouble is the store of one test: objects in memory. It implements
// [Writer].
type storeDouble struct {
	memory *trialMemory
	stored func(*matcher.Object) // called for each event that was put

	mu      sync.Mutex
	objects map[storeKey]bool
	lists   map[matcher.ID]*matcher.List
	down    string
}

type storeKey struct {
	origin matcher.Origin
	id     matcher.ID
}

func (s *storeDouble) lock() error {
	s.mu.Lock()
	if s.down != "" {
		s.mu.Unlock()
		return matcher.Errorf(matcher.CodeUnavailable, "%s", s.down)
	}
	return nil
}

// PutObjects implements [Writer].
func (s *storeDouble) PutObjects(_ context.Context, _ *matcher.ID, objects []*matcher.Object) (int, error) {
	if err := s.lock(); err != nil {
		return -1, err
	}
	defer s.mu.Unlock()
	for i, obj := range objects {
		for n, id := range obj.Lists {
			if l := s.lists[id]; l == nil || !mayJoin(obj.Account, l.Account) {
				return i, matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", n, id)
			}
		}
	}
	for _, obj := range objects {
		s.objects[storeKey{obj.Origin, obj.ID}] = true
		s.memory.Apply([]store.Change{{Kind: store.PutObject, Object: obj}})
		if obj.Origin == matcher.Events {
			s.stored(obj)
		}
	}
	return 0, nil
}

// mayJoin reports whether an object can be in a list: not when they belong to
// two accounts.
func mayJoin(object, list matcher.ID) bool {
	return object.IsZero() || list.IsZero() || object == list
}

// DeleteObject implements [Writer].
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

// Link implements [Writer].
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
		if obj, _ := s.memory.Get(matcher.Faces, id, nil, false); attach && !mayJoin(obj.Account, l.Account) {
			return matcher.Errorf(matcher.CodeForbidden, "face_ids: %s belongs to another account than the list %s", id, list)
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

// CreateList implements [Writer].
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

// all returns the objects of an origin as the API shows them, by id.
func (s *storeDouble) all(o matcher.Origin) ([]any, error) {
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
		v, err := decodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, true))
		if err != nil {
			return nil, err
		}
		objects = append(objects, v)
	}
	return objects, nil
}

// A meterDouble keeps the figures of ns.metrics. It implements [Meter].
type meterDouble struct {
	mu      sync.Mutex
	figures map[string]float64 // by name and label values
}

// Metric implements [Meter].
func (d *meterDouble) Metric(_ string, s MetricShape) (Metric, error) {
	return &metricDouble{d, s}, nil
}

type metricDouble struct {
	*meterDouble
	shape MetricShape
}

func metricKey(name string, labels []string) string {
	return name + "\x00" + strings.Join(labels, "\x00")
}

func (m *metricDouble) Add(v float64, labels []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shape.Kind == Histogram {
		v = 1
	}
	m.figures[metricKey(m.shape.Name, labels)] += v
	return nil
}

func (m *metricDouble) Set(v float64, labels []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures[metricKey(m.shape.Name, labels)] = v
	return nil
}

func (m *metricDouble) Release() {}
