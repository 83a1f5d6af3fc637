package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"nearside/lua/ns/peer"
)

const (
	maxAddresses = 16 // addresses in one URL

	// poolSize is the size of a link's pool, although a link uses only one connection
	// per node. After as many failed dials as the pool has places, go-redis would fail
	// all commands and keep dialling in its own goroutine.
	poolSize = 16
)

// An Address is what a client connects to: one server, the Sentinels of a master,
// or the nodes of a cluster.
type Address struct {
	peer.Endpoint
	Database int
	All      []string // host:port of every server; the first is the Endpoint
	master   string   // the master's name at the Sentinels; empty: no Sentinels
	cluster  bool
}

var errURL = errors.New("the url is not of the form redis://[user:password@]host[:port][/db][?master_name=name|cluster=true][&addr=host:port...]")

// ParseAddress parses a URL. The error does not quote the URL, because an
// unescaped password may be in any part of it.
func ParseAddress(text string) (Address, error) {
	var a Address
	text, query, hasQuery := strings.Cut(text, "?")
	e, err := peer.ParseEndpoint(text, ports)
	if err != nil {
		return a, err
	}
	a.Endpoint, a.All = e, []string{e.Target()}
	if e.Path != "" {
		if a.Database, err = strconv.Atoi(e.Path); err != nil || a.Database < 0 {
			return a, errors.New("the url's path is not the number of a database")
		}
	}
	if !hasQuery {
		return a, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return a, errURL
	}
	for name := range values {
		switch name {
		case "addr":
		case "master_name":
			a.master = values.Get(name)
		case "cluster":
			a.cluster = values.Get(name) == "true"
		default:
			return a, errURL
		}
	}
	for _, address := range values["addr"] {
		other, err := peer.ParseEndpoint(e.Scheme+"://"+address, ports)
		if err != nil {
			return a, fmt.Errorf("addr: %w", err)
		}
		a.All = append(a.All, other.Target())
	}
	switch {
	case (a.master == "") != a.cluster || len(a.All) > maxAddresses:
		return a, errURL
	case a.cluster && a.Database != 0:
		return a, errors.New("a cluster has only database 0")
	}
	return a, nil
}

// tlsConfig returns the TLS configuration for a server, or nil if the scheme is not
// rediss.
func (a Address) tlsConfig(host string) *tls.Config {
	if a.Scheme != "rediss" {
		return nil
	}
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}

func (l *link) single(a Address, t linkTimes) goredis.UniversalClient {
	return goredis.NewClient(&goredis.Options{
		Addr: a.Target(), Username: a.User, Password: a.Password, DB: a.Database, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: poolSize,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (l *link) failover(a Address, t linkTimes) goredis.UniversalClient {
	return goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: a.master, SentinelAddrs: a.All, Username: a.User, Password: a.Password, DB: a.Database, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: poolSize,
	})
}

func (l *link) clustered(a Address, t linkTimes) goredis.UniversalClient {
	return goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: a.All, Username: a.User, Password: a.Password, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: poolSize,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
