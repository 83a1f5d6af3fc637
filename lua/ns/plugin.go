package ns

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"nearside/lua/ns/peer"
)

// Declared holds the fields of a plugin's table that modules need.
type Declared struct {
	Name, Version string
	Permissions   Permissions
	States        int // of the main side
}

// A Plugin is one plugin of one generation, with the data that modules need. Package
// lua creates it and may set its fields until Checked is true.
type Plugin struct {
	Host       *Host
	About      Declared
	Settings   map[string]any
	Log        *slog.Logger
	KV         *KV
	Lasting    *Lasting     // shared by all generations of the plugin
	BeforeLive *peer.Flight // ends when the generation takes over
	Checked    atomic.Bool  // the table and the settings were checked and no longer change

	Ready    readiness
	Routes   routeTable
	network  network
	Metrics  metrics
	Troubles troubles

	matchOnce sync.Once // sets matches
	matches   turn      // of ns.match
	pages     pageCache // of the iterators of ns.store

	Failures  atomic.Uint64          // of hooks, tasks and timers
	LastError atomic.Pointer[string] // the text of the last failure
}

// Lasting holds the counters and the locks that all generations of a plugin share.
type Lasting struct {
	Dropped    atomic.Uint64 // values that batches dropped
	Rejected   atomic.Uint64 // requests rejected with ns.reject
	LostValues atomic.Uint64 // values of metrics that were lost because of too many sets of label values

	locks locks // of ns.lock
	Hooks HookTimes
}

// RecordFailure counts a failure and shows it in the status of the plugin. part names the
// part of the plugin that failed.
func (p *Plugin) RecordFailure(part string, err error) {
	p.Failures.Add(1)
	p.SetLastError(part, err)
}

// SetLastError shows a failure as the last error in the status of the plugin. It does
// not count the failure.
func (p *Plugin) SetLastError(part string, err error) {
	text := part + ": " + err.Error()
	p.LastError.Store(&text)
	if failed := p.Host.Doubles.Failed; failed != nil {
		failed(text)
	}
}
