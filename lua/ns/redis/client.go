package redis

import (
	"context"
	"errors"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"nearside/lua/ns/peer"
)

// MaxReply is the largest reply, in bytes.
const MaxReply = 16 << 20

// maxLinks is the number of links for commands. If all are in use, calls wait.
const maxLinks = 8

var ports = map[string]string{"redis": "6379", "rediss": "6379"}

// A Client sends commands to the servers of one address. It connects on first use
// and reconnects after a failure. It never sends a command twice. Methods may be
// called by any goroutine.
type Client struct {
	peer.Client
	at    Address
	slots chan struct{} // one per link in use

	mu   sync.Mutex
	idle []*link
	shut bool
}

// Connect returns a client. It fails if the owner cannot have another client. It
// does not contact the server: if the server cannot be reached, later calls fail.
func Connect(c peer.Client, at Address) (*Client, error) {
	logging.Disable() // go-redis would write to stderr; we report its errors ourselves
	r := &Client{Client: c, at: at, slots: make(chan struct{}, maxLinks)}
	if err := r.Open(r.closeLinks); err != nil {
		return nil, err
	}
	return r, nil
}

// Do runs a command, whose parts are strings. A null reply is nil. An error within
// a list is an error value.
func (r *Client) Do(ctx context.Context, parts ...any) (reply any, err error) {
	err = r.withLink(ctx, func(ctx context.Context, l *link) (err error) {
		reply, err = l.Do(ctx, parts...).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
	return reply, err
}

// Pipeline sends all commands at once and returns one reply for each. The reply of
// a command that failed is an error value.
func (r *Client) Pipeline(ctx context.Context, commands [][]any) ([]any, error) {
	replies := make([]any, len(commands))
	err := r.withLink(ctx, func(ctx context.Context, l *link) error {
		p := l.Pipeline()
		sent := make([]*goredis.Cmd, len(commands))
		for i, command := range commands {
			sent[i] = p.Do(ctx, command...)
		}
		_, _ = p.Exec(ctx) // each command has its own error
		for i, command := range sent {
			reply, err := command.Result()
			if err != nil && !isReply(err) {
				return err
			}
			if replies[i] = reply; err != nil && !errors.Is(err, goredis.Nil) {
				replies[i] = err
			}
		}
		return nil
	})
	return replies, err
}

// ReadGroup reads a stream as a consumer of a group until the task is
// cancelled.
func (r *Client) ReadGroup(ctx context.Context, g Group) (peer.Task, error) {
	return g.Follow(ctx, &r.Client, r.at.Database, &stream{Client: r})
}

// withLink runs f with a link, under the client's timeout. It adds the server's address
// to the error.
func (r *Client) withLink(ctx context.Context, f func(ctx context.Context, l *link) error) error {
	return r.Within(ctx, func(ctx context.Context) error { return r.useLink(ctx, f) })
}

// rawLink is like withLink, but returns the error of the server or of the connection
// unchanged.
func (r *Client) rawLink(ctx context.Context, f func(ctx context.Context, l *link) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()
	return r.useLink(ctx, f)
}

// useLink runs f with a link. If all links are in use, it waits for one.
func (r *Client) useLink(ctx context.Context, f func(ctx context.Context, l *link) error) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.slots }()
	l := r.takeLink()
	stop := context.AfterFunc(ctx, l.kill)
	err := f(ctx, l)
	r.noteOutcome(ctx, err)
	// A link is not kept if its connection has failed or its server is no longer
	// a master.
	if !stop() || err != nil && (!isReply(err) || isTransient(err)) || !r.keepLink(l) {
		l.end()
	}
	return err
}

// noteOutcome records, for the message handler that started the command, whether
// the server caused the failure.
func (r *Client) noteOutcome(ctx context.Context, err error) {
	if err != nil && (!isReply(err) || isTransient(err)) {
		peer.RecordOutcome(ctx, r.Target, err)
		return
	}
	peer.RecordOutcome(ctx, r.Target, nil)
}

func (r *Client) takeLink() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle) - 1; n >= 0 {
		l := r.idle[n]
		r.idle = r.idle[:n]
		return l
	}
	return r.newLink(r.Timeout)
}

// keepLink keeps a link for the next call, unless the client has ended.
func (r *Client) keepLink(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shut {
		r.idle = append(r.idle, l)
	}
	return !r.shut
}

// closeLinks closes the idle links. The contexts of the other links end them.
func (r *Client) closeLinks() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
	for _, l := range r.idle {
		l.end()
	}
	r.idle = nil
}

// isReply reports whether err is an error reply of the server, as opposed to a
// failed connection.
func isReply(err error) bool {
	var answer goredis.Error
	return errors.As(err, &answer)
}

// transient lists the prefixes of error replies that the server or an operator can
// resolve without a change to the plugin.
var transient = []string{"LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "BUSY", "ERR max", "EXECABORT"}

func isTransient(err error) bool {
	for _, word := range transient {
		if strings.HasPrefix(err.Error(), word) && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return true
		}
	}
	return false
}

// refusedReply wraps err in a [peer.RefusalError] if it is an error reply that a
// retry would not change.
func refusedReply(err error) error {
	if err != nil && isReply(err) && !isTransient(err) {
		return peer.RefusalError{Reason: err}
	}
	return err
}
