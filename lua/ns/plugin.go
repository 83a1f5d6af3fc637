package ns

import (
	"log/slog"
	"sync/atomic"

	"nearside/lua/ns/peer"
)

// Declared is the part of a plugin's table that modules need.
type Declared struct {
	Name, Version string
	Permissions   Permissions
	States        int // of the main side
}

// A Plugin is one plugin of one generation, with the data that modules need. Package
// lua makes it and may set its fields until Checked is true.
type Plugin struct {
	Host     *Host
	About    Declared
	Settings map[string]any
	Log      *slog.Logger
	KV       *KV
	Lasting  *Lasting     // shared by all generations of the plugin
	Live     *peer.Flight // ends when the generation takes over
	Checked  atomic.Bool  // the table and the settings were checked and no longer change

	Ready    readiness
	Routes   routeTable
	network  network
	Metrics  metrics
	Troubles troubles

	Failures atomic.Uint64          // of hooks, tasks and timers
	Last     atomic.Pointer[string] // the text of the last failure
}

// Lasting holds the counters that all generations of a plugin share.
type Lasting struct {
	Dropped  atomic.Uint64 // values that batches dropped
	Rejected atomic.Uint64 // requests rejected with ns.reject
}

// Failed counts a failure and shows it in the status of the plugin.
func (p *Plugin) Failed(what string, err error) {
	p.Failures.Add(1)
	p.Noted(what, err)
}

// Noted shows a failure as the last error in the status of the plugin. It does not
// count the failure.
func (p *Plugin) Noted(what string, err error) {
	text := what + ": " + err.Error()
	p.Last.Store(&text)
	if failed := p.Host.Doubles.Failed; failed != nil {
		failed(text)
	}
}
