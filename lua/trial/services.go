package trial

import (
	"strings"
	"sync"
	"time"

	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// connect sets the services of a plugin's host to those of the test.
func (t *trial) connect(o *lua.Options) error {
	if t.store == nil {
		m, err := newTrialMemory(t.clock.Now, t.options.MetaFields)
		if err != nil {
			return err
		}
		t.store = &storeDouble{memory: m, objects: map[storeKey]*matcher.Object{}, lists: map[matcher.ID]*matcher.List{}, values: map[matcher.ID][]byte{}, changed: t.sendChange}
		t.local = &trialLocal{current: m}
	}
	o.Services = ns.Services{
		Matching: t.local, Metrics: t.meter,
		Resources: func() ns.Resources { return t.resources },
		Store:     t.store, Objects: t.store.memory, Decoder: func() *wire.Decoder { return t.store.memory.decoder },
		Values: t.store, Match: t.match,
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
