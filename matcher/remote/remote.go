// Package remote implements a matcher that calls another service over HTTP:
// another nearside, or a service with the same wire contract.
//
// A [Remote] sends the sub-requests for which it was chosen, with the descriptors
// of their references. It makes as few calls as the limits of an answer allow.
// Calls only read, so a call is repeated once if its connection breaks before an
// answer begins. After repeated failures, a Remote gets no calls until a health
// check succeeds. A [Group] has the remotes of a configuration, which can change
// while requests are in progress.
//
// Faults of the client (4xx) are passed on. Any other answer that the contract
// does not allow becomes CodeUnavailable, and the next cheapest matcher answers.
package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"nearside/internal/certs"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Config describes a remote. The remote owns Origins and Lists. If both are empty, it
// is a replica of the local store.
type Config struct {
	Name        string
	URL         string
	Cost        float64
	Timeout     time.Duration // of one call; 0: only the request's own deadline
	Origins     []matcher.Origin
	Lists       []matcher.ID
	MaxInflight int // calls in progress at once
	// KeyFile is the path of the file with the key for the remote; empty: no key is sent.
	KeyFile  string
	CAFile   string // the authorities of the remote's certificate, a path; empty: those of the system
	CertFile string // the certificate and private key that the remote asks for, a path; empty: none
}

// equal reports whether c and d describe the same remote.
func (c *Config) equal(d *Config) bool {
	return c.Name == d.Name && c.URL == d.URL && c.Cost == d.Cost && c.Timeout == d.Timeout && c.MaxInflight == d.MaxInflight &&
		c.KeyFile == d.KeyFile && c.CAFile == d.CAFile && c.CertFile == d.CertFile &&
		slices.Equal(c.Origins, d.Origins) && slices.Equal(c.Lists, d.Lists)
}

// waitersPerCall is how many calls may wait for each of the MaxInflight slots.
const waitersPerCall = 16

// Remote implements [matcher.Remote]. It is safe for concurrent use.
type Remote struct {
	config    Config
	key       string // the content of KeyFile
	base      *url.URL
	decoder   func() *wire.Decoder
	log       *slog.Logger
	client    *http.Client
	breaker   *gobreaker.CircuitBreaker[struct{}]
	slots     chan struct{} // one for each of MaxInflight calls
	waiting   atomic.Int64
	unhealthy atomic.Pointer[string] // the reason; nil: it is healthy
	closed    atomic.Bool

	stop    context.CancelFunc // of the health checks
	stopped chan struct{}
}

// dialer makes connections.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// newRemote returns a Remote and starts its health checks, which run until close. path is that
// of c in errors, such as matchers.remote[0].
func newRemote(path string, c Config, key string, decoder func() *wire.Decoder, log *slog.Logger, dial dialer) (*Remote, error) {
	base, err := url.Parse(strings.TrimRight(c.URL, "/") + "/")
	if err != nil {
		return nil, fmt.Errorf("%s.url: %w", path, errors.Unwrap(err)) // err has the URL, which may have a password
	}
	certificates, err := certs.NewClient(c.tlsFiles(path), log.With("remote", c.Name))
	if err != nil {
		return nil, err
	}
	r := &Remote{
		config: c, key: key, base: base, decoder: decoder, log: log, slots: make(chan struct{}, c.MaxInflight), stopped: make(chan struct{}),
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            dial,
				DialTLSContext:         dialTLS(dial, certificates),
				MaxIdleConnsPerHost:    c.MaxInflight,
				IdleConnTimeout:        time.Minute,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 1 << 20,
			},
			// A redirect leads to a service that is not configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	r.breaker = newBreaker()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go r.watchHealth(ctx)
	return r, nil
}

// close ends the health checks. Calls in progress are not interrupted.
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

// Cost implements [matcher.Matcher]. It returns the configured cost. A remote
// cannot answer for a set that prefilters narrowed, because it does not know the
// remaining rows. A replica that is unhealthy or has no free slot refuses; an owner
// does not, because no other matcher has its data.
func (r *Remote) Cost(_ context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	switch {
	case sub.Selection != nil:
		return r.config.Cost, "cannot answer for a set that prefilters narrowed", false
	case !r.Replica():
		return r.config.Cost, "owns the set", true
	}
	if unhealthy := r.unhealthy.Load(); unhealthy != nil {
		return r.config.Cost, *unhealthy, false
	}
	if len(r.slots) == cap(r.slots) {
		return r.config.Cost, "max_inflight calls are already in progress", false
	}
	return r.config.Cost, "", true
}
