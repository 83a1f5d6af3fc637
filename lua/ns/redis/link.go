package redis

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

// A link is a go-redis client that is used by one call at a time. It has one
// connection, or one per node of a cluster. go-redis respects the deadline of a
// context but not its cancellation; kill ends the calls of a link at once.
type link struct {
	goredis.UniversalClient
	client *Client
	left   atomic.Int64       // bytes that may be read until the next write
	life   context.Context    // ends with the link; for dials, which go-redis may make outside a call
	cancel context.CancelFunc // ends life

	mu    sync.Mutex
	conns []net.Conn // connections that may be open; in a cluster, one per node
}

// linkTimes are the timeouts of a link.
type linkTimes struct{ read, write time.Duration }

// maxLinkConns bounds the connections that a link remembers.
const maxLinkConns = 256

// newLink returns a link, which connects on first use. replyTimeout is how long it
// waits for a reply; the deadline of a context can shorten this.
func (r *Client) newLink(replyTimeout time.Duration) *link {
	l := &link{client: r}
	l.life, l.cancel = context.WithCancel(context.Background())
	times := linkTimes{replyTimeout, r.Timeout}
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

// dialer connects to a server if the plugin may reach it. It checks each address,
// because Sentinels and cluster nodes can name servers that are not in the URL.
func (l *link) dialer(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.client.Owner.Permit("redis", address); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return l.dial(ctx, network, address, l.client.at.tlsConfig(host))
}

func (l *link) dial(ctx context.Context, network, address string, secure *tls.Config) (net.Conn, error) {
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
		result = metered // no check: bytes in the socket may belong to TLS itself
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil {
		return nil, errors.Join(l.life.Err(), conn.Close())
	}
	l.conns = append(l.conns, conn)
	if n := len(l.conns) - maxLinkConns; n > 0 {
		l.conns = l.conns[n:] // the oldest ones were closed long ago
	}
	return result, nil
}

// kill ends the link for good. A call in progress returns an error.
func (l *link) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	for _, conn := range l.conns {
		_ = conn.Close() // go-redis may have closed it already
	}
	l.conns = nil
}

// end ends the link for good and frees its resources.
func (l *link) end() {
	l.kill()
	_ = l.Close() // the connection is gone already
}

// allowReply allows up to MaxReply more bytes to be read, for a message that the server
// sends without a command.
func (l *link) allowReply() { l.left.Store(MaxReply) }

// A meteredConn limits the number of bytes that are read after each write. This
// limits the size of a reply.
type meteredConn struct {
	net.Conn
	left *atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("the reply is larger than %d bytes", MaxReply)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(int64(-n))
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	c.left.Store(MaxReply)
	return c.Conn.Write(p)
}

// A checkedConn is a connection on which go-redis can detect, before it sends a
// command, that the server has closed it.
type checkedConn struct {
	*meteredConn
	syscall.Conn
}
