package lua

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A redisLink is one connection to a Redis server: a go-redis client that is
// used by one call at a time. go-redis looks at the deadline of a context, but
// not at its end; a link can be killed, which ends what waits in it at once.
type redisLink struct {
	goredis.UniversalClient
	r    *redisClient
	left atomic.Int64    // bytes that may be read until the next write
	life context.Context // ends with the link; go-redis may dial beside the call that needs it
	over context.CancelFunc

	mu    sync.Mutex
	conns []net.Conn // those that may be open: of a cluster, one per node
}

// redisTimes are the timeouts of a link.
type redisTimes struct{ read, write time.Duration }

// maxLinkConns bounds the connections that a link remembers.
const maxLinkConns = 256

// newLink makes a link; it connects when it is used. wait is for how long a
// reply is waited for; a context with a deadline shortens it.
func (r *redisClient) newLink(wait time.Duration) *redisLink {
	l := &redisLink{r: r}
	l.life, l.over = context.WithCancel(context.Background())
	times := redisTimes{wait, r.timeout}
	switch {
	case r.at.master != "":
		l.UniversalClient = l.failover(r.at, times)
	case r.at.cluster:
		l.UniversalClient = l.clustered(r.at, times)
	default:
		l.UniversalClient = l.single(r.at, times)
	}
	return l
}

// dialer connects to a server that the plugin may reach: Sentinels and nodes
// of a cluster name others than the URL does.
func (l *redisLink) dialer(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.r.in.permit("redis", address); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return l.dial(ctx, network, address, l.r.at.config(host))
}

func (l *redisLink) dial(ctx context.Context, network, address string, secure *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	metered := &meteredConn{Conn: conn, left: &l.left}
	result := net.Conn(metered)
	if raw, ok := conn.(syscall.Conn); ok {
		result = &checkedConn{metered, raw}
	}
	if secure != nil {
		encrypted := tls.Client(conn, secure)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		metered.Conn = encrypted
		result = metered // what it has in its socket may be TLS's own
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil {
		return nil, errors.Join(l.life.Err(), conn.Close())
	}
	l.conns = append(l.conns, conn)
	if n := len(l.conns) - maxLinkConns; n > 0 {
		l.conns = l.conns[n:] // they were closed long ago
	}
	return result, nil
}

// kill ends the link for good; what waits in it gets an error.
func (l *redisLink) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over()
	for _, conn := range l.conns {
		_ = conn.Close() // also of one that go-redis has closed
	}
	l.conns = nil
}

// end frees the link.
func (l *redisLink) end() {
	l.kill()
	_ = l.Close() // the connection is gone already
}

// fresh lets a whole reply be read again without a write before it.
func (l *redisLink) fresh() { l.left.Store(maxRedisReply) }

// A meteredConn bounds what is read after each write: the size of a reply.
type meteredConn struct {
	net.Conn
	left *atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("the reply is larger than %d bytes", maxRedisReply)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(int64(-n))
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	c.left.Store(maxRedisReply)
	return c.Conn.Write(p)
}

// A checkedConn lets go-redis see, before it sends a command, that the server
// has closed the connection.
type checkedConn struct {
	*meteredConn
	syscall.Conn
}
