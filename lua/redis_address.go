package lua

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"nearside/lua/vm"
)

const (
	maxRedisAddresses = 16 // of one URL
	redisPool         = 16 // connections of a link; it uses one per node
)

// A redisAddress is where a client connects to: one server, the Sentinels that
// know the master, or nodes of a cluster.
type redisAddress struct {
	endpoint
	db      int
	all     []string // host:port, the first is the endpoint's
	master  string   // the name that Sentinels know it by; empty: there are none
	cluster bool
}

var errRedisURL = errors.New("the url is not of the form redis://[user:password@]host[:port][/db][?master_name=name|cluster=true][&addr=host:port...]")

// parseRedisURL reads a URL. Its error says nothing of the URL, because a
// password that is not escaped may be in any part of it.
func parseRedisURL(text string) (redisAddress, error) {
	var a redisAddress
	text, query, more := strings.Cut(text, "?")
	e, err := parseEndpoint(text, redisPorts)
	if err != nil {
		return a, err
	}
	a.endpoint, a.all = e, []string{e.target()}
	if e.path != "" {
		if a.db, err = strconv.Atoi(e.path); err != nil || a.db < 0 {
			return a, errors.New("the url's path is not the number of a database")
		}
	}
	if !more {
		return a, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return a, errRedisURL
	}
	for name := range values {
		switch name {
		case "addr":
		case "master_name":
			a.master = values.Get(name)
		case "cluster":
			a.cluster = values.Get(name) == "true"
		default:
			return a, errRedisURL
		}
	}
	for _, address := range values["addr"] {
		other, err := parseEndpoint(e.scheme+"://"+address, redisPorts)
		if err != nil {
			return a, fmt.Errorf("addr: %w", err)
		}
		a.all = append(a.all, other.target())
	}
	switch {
	case (a.master == "") != a.cluster || len(a.all) > maxRedisAddresses:
		return a, errRedisURL
	case a.cluster && a.db != 0:
		return a, errors.New("a cluster has no database but 0")
	}
	return a, nil
}

// redisTarget reads the arguments of connect.
func redisTarget(c *vm.Call) (client, redisAddress, error) {
	in := self(c)
	a, err := parseRedisURL(c.Text(1))
	if err != nil {
		return client{}, a, err
	}
	o := &reader{m: c.Map(2), at: "options."}
	o.known("timeout_ms")
	k := client{in: in, target: strings.Join(a.all, ","), timeout: o.timeout()}
	faults := o.faults
	for _, address := range a.all {
		faults = append(faults, in.permit("redis", address))
	}
	return k, a, errors.Join(faults...)
}

func redisConnect(c *vm.Call) error {
	k, a, err := redisTarget(c)
	if err != nil {
		return err
	}
	logging.Disable() // go-redis would write to stderr; its errors are ours to report
	r := &redisClient{client: k, at: a, slots: make(chan struct{}, maxRedisLinks)}
	if err := r.open(r.end); err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: redisClass, Value: r})
}

// config is the TLS configuration for a server; nil without TLS.
func (a redisAddress) config(host string) *tls.Config {
	if a.scheme != "rediss" {
		return nil
	}
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}

// A link uses one connection per node. After as many failed dials as the pool
// has places, go-redis would go on dialling in a goroutine of its own, and
// fail all commands: hence the larger pool.

func (l *redisLink) single(a redisAddress, t redisTimes) goredis.UniversalClient {
	return goredis.NewClient(&goredis.Options{
		Addr: a.target(), Username: a.user, Password: a.password, DB: a.db, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: redisPool,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (l *redisLink) failover(a redisAddress, t redisTimes) goredis.UniversalClient {
	return goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: a.master, SentinelAddrs: a.all, Username: a.user, Password: a.password, DB: a.db, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: redisPool,
	})
}

func (l *redisLink) clustered(a redisAddress, t redisTimes) goredis.UniversalClient {
	return goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: a.all, Username: a.user, Password: a.password, Dialer: l.dialer,
		ReadTimeout: t.read, WriteTimeout: t.write, DialTimeout: t.write,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: redisPool,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
