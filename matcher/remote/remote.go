// Package remote is a matcher behind HTTP: another nearside, or a service of
// the same wire contract.
//
// A [Remote] sends the sub-requests that it wins, with the descriptors of
// their references, in as few calls as the limits of an answer allow. All its
// calls only read, so one that broke before an answer began is made once more.
// A [Remote] that fails again and again is left alone until a health check
// succeeds. A [Group] is the remotes of a configuration, which can change while
// requests are under way.
//
// What a client did wrong (4xx) is passed on; everything else that is no
// answer as of the contract is CodeUnavailable, which lets the next cheapest
// matcher answer.
package remote

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Config describes a remote. With Origins or Lists it owns these; without, it
// is a replica of everything.
type Config struct {
	Name        string
	URL         string
	Cost        float64
	Timeout     time.Duration // of one call; 0: only the request's own deadline
	Origins     []matcher.Origin
	Lists       []matcher.ID
	MaxInflight int // calls at once
}

// equal reports whether c and d describe the same remote.
func (c *Config) equal(d *Config) bool {
	return c.Name == d.Name && c.URL == d.URL && c.Cost == d.Cost && c.Timeout == d.Timeout && c.MaxInflight == d.MaxInflight &&
		slices.Equal(c.Origins, d.Origins) && slices.Equal(c.Lists, d.Lists)
}

// waitersPerCall bounds the calls that wait for one of MaxInflight to end.
const waitersPerCall = 16

// Remote implements [matcher.Remote]. It is safe for concurrent use.
type Remote struct {
	config  Config
	base    *url.URL
	decoder func() *wire.Decoder
	log     *slog.Logger
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[struct{}]
	places  chan struct{} // of MaxInflight calls
	waiting atomic.Int64
	sick    atomic.Pointer[string] // why it is not well; nil: it is
	closed  atomic.Bool

	stop    context.CancelFunc // of the health checks
	stopped chan struct{}
}

// dialer makes connections.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// newRemote returns a Remote whose health is checked until close.
func newRemote(c Config, decoder func() *wire.Decoder, log *slog.Logger, dial dialer) (*Remote, error) {
	base, err := url.Parse(strings.TrimRight(c.URL, "/") + "/")
	if err != nil {
		return nil, errors.Unwrap(err) // the rest has the URL, and so a password
	}
	r := &Remote{
		config: c, base: base, decoder: decoder, log: log, places: make(chan struct{}, c.MaxInflight), stopped: make(chan struct{}),
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            dial,
				TLSHandshakeTimeout:    dialTimeout,
				MaxIdleConnsPerHost:    c.MaxInflight,
				IdleConnTimeout:        time.Minute,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 1 << 20,
			},
			// What is somewhere else is not this remote.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	r.breaker = newBreaker()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go r.watch(ctx)
	return r, nil
}

// close ends the health checks. Calls under way end by themselves.
func (r *Remote) close() {
	r.closed.Store(true)
	r.stop()
	<-r.stopped
	r.client.CloseIdleConnections()
}

// Name implements [matcher.Matcher].
func (r *Remote) Name() string { return r.config.Name }

// Replica implements [matcher.Remote].
func (r *Remote) Replica() bool { return len(r.config.Origins) == 0 && len(r.config.Lists) == 0 }

// Cost implements [matcher.Matcher]: the configured cost. A remote cannot see
// what prefilters left of a set. A replica that is not well, or has no place
// for another call, leaves sub-requests to others; an owner cannot.
func (r *Remote) Cost(_ context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	switch {
	case sub.Selection != nil:
		return r.config.Cost, "cannot take a set that prefilters have narrowed", false
	case !r.Replica():
		return r.config.Cost, "owns the set", true
	}
	if sick := r.sick.Load(); sick != nil {
		return r.config.Cost, *sick, false
	}
	if len(r.places) == cap(r.places) {
		return r.config.Cost, "has all the calls that it may have at once", false
	}
	return r.config.Cost, "", true
}
