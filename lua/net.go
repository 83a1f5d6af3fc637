package lua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nearside/lua/vm"
)

// Bounds of what one plugin has open to others.
const (
	maxClients = 16 // connect of redis and amqp
	maxReaders = 64 // subscriptions and consumers

	defaultTimeout = 10 * time.Second
	maxTimeout     = 300 * time.Second
)

// network is what the modules http, redis and amqp keep for one plugin. The
// zero value is ready.
type network struct {
	clients, readers atomic.Int32

	once  sync.Once // of what follows
	http  *http.Client
	calls chan struct{} // one per HTTP request in progress
}

// reserve counts one more, unless there are limit already.
func reserve(n *atomic.Int32, limit int32) bool {
	if n.Add(1) > limit {
		n.Add(-1)
		return false
	}
	return true
}

// An endpoint is a server's URL, taken apart. Only target may be shown: the
// rest may be secret.
type endpoint struct {
	scheme, host, port string
	user, password     string
	path               string // without the slash before it
}

func (e endpoint) target() string { return net.JoinHostPort(e.host, e.port) }

// parseEndpoint reads a URL of one of the schemes, which come with their
// default ports. Its error says nothing of the URL, because a password that
// is not escaped may be in any part of it.
func parseEndpoint(text string, ports map[string]string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, errors.New("the url is not of the form scheme://[user:password@]host[:port][/name]")
	}
	e := endpoint{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), user: u.User.Username()}
	e.password, _ = u.User.Password()
	if u.Path != "" {
		e.path = u.Path[1:]
	}
	port, ok := ports[e.scheme]
	if !ok {
		return endpoint{}, errors.New("the url's scheme is not one that this module knows")
	}
	if e.port == "" {
		e.port = port
	}
	if n, err := strconv.ParseUint(e.port, 10, 16); err != nil || n == 0 {
		return endpoint{}, errors.New("the url's port is not within 1 and 65535")
	}
	return e, nil
}

// timeout is the option timeout_ms.
func (r *reader) timeout() time.Duration {
	ms := r.number("timeout_ms", float64(defaultTimeout.Milliseconds()), 1, float64(maxTimeout.Milliseconds()))
	return time.Duration(ms * float64(time.Millisecond))
}

// A client is the part that redis and amqp clients share: it ends when it is
// closed, or with its instance, which waits for that.
type client struct {
	in      *instance
	target  string          // host:port
	timeout time.Duration   // of each operation
	ctx     context.Context // of the client
	task    *vm.Task        // ends it
	ended   chan struct{}   // closed when shut has returned
}

// open starts the life of a client; shut ends what it holds.
func (k *client) open(shut func()) error {
	readers := &k.in.plugin.network.clients
	if !reserve(readers, maxClients) {
		return fmt.Errorf("the plugin has %d clients: close one, or keep one and use it again", maxClients)
	}
	begun := make(chan context.Context, 1)
	k.ended = make(chan struct{})
	if !k.in.plugin.checked.Load() {
		readers.Add(-1)
		return errTooEarly
	}
	task, err := k.in.state.Go(func(ctx context.Context) {
		begun <- ctx
		<-ctx.Done()
		shut()
		readers.Add(-1)
		close(k.ended)
	})
	if err != nil {
		readers.Add(-1)
		return err
	}
	k.task, k.ctx = task, <-begun
	return nil
}

// close ends the client and waits until it has ended.
func (k *client) close(ctx context.Context) error {
	k.task.Cancel()
	select {
	case <-k.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fault names the peer, and says timeout or closed where the libraries speak
// of broken connections. ctx is the operation's.
func (k *client) fault(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case k.ctx.Err() != nil:
		err = errors.New("the client is closed")
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("timeout")
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return fmt.Errorf("%s: %w", k.target, err)
}

// within runs f under the client's timeout.
func (k *client) within(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	return k.fault(ctx, f(ctx))
}

// firstAttempt is how long a script waits for the outcome of a reader's first
// attempt to connect. The reader goes on either way.
const firstAttempt = 2 * time.Second

// A refusal is an answer of the server that the plugin's author has to mend,
// such as a stream's name that is another kind of key.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// follow runs a reader, such as a subscription or a consumer, as a task of its
// own, and gives the script its handle. name is shown in /1/plugins.
//
// run returns when the connection is lost and is called again after a pause.
// It calls reader.set(consumerRunning, nil) when it has begun to read. Its ctx ends
// when the reader shall take nothing more: the task was cancelled, the client
// was closed, or a drain has begun. A handler in progress then still ends, and
// its message is still acknowledged, before run returns; so both use the
// context of the instance's state, not ctx.
//
// When the first attempt ends with a refusal, the script gets the error and
// there is no task. A server that is down is no refusal.
func (k *client) follow(call *vm.Call, what, name string, fn *vm.Func, run func(ctx context.Context, reader *consumer) error) error {
	readers := &k.in.plugin.network.readers
	if !reserve(readers, maxReaders) {
		return call.Fail(fmt.Errorf("the plugin has %d subscriptions and consumers already", maxReaders))
	}
	first := make(chan error, 1)
	reader := k.in.newConsumer(name)
	f := newFlight(k.in.plugin.host)
	task, err := k.in.goroutine(func(ctx context.Context) {
		defer f.end()
		defer readers.Add(-1)
		defer reader.remove()
		defer k.in.state.Keep(fn)()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(k.ctx, cancel)()
		defer k.in.onDrain(func(limit context.Context) {
			cancel()
			f.wait(limit)
		})()
		k.retry(ctx, what, reader, first, run)
		if reader.ending != nil {
			reader.ending()
		}
	})
	if err != nil {
		reader.remove()
		readers.Add(-1)
		return call.Fail(err)
	}
	err = call.Wait(func(ctx context.Context) error {
		limit := time.NewTimer(firstAttempt)
		defer limit.Stop()
		select {
		case err := <-first:
			return err
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		task.Cancel()
		return call.Fail(err)
	}
	return call.Return(vm.Object{Class: taskHandle, Value: task})
}

// retry calls run until ctx ends. first gets the outcome of the first attempt.
func (k *client) retry(ctx context.Context, what string, reader *consumer, first chan<- error, run func(ctx context.Context, reader *consumer) error) {
	pause := backoff{clock: k.in.plugin.host.clock, random: k.in.plugin.host.random}
	answered := false
	answer := func(err error) {
		if !answered {
			answered = true
			first <- err
		}
	}
	reader.onRunning(func() {
		pause.attempt = 0
		answer(nil)
	})
	for {
		err := k.fault(ctx, run(ctx, reader))
		if ctx.Err() != nil {
			answer(err)
			return
		}
		var refused refusal
		if errors.As(err, &refused) && !answered {
			answer(err)
			return
		}
		k.in.report(what, err)
		reader.lost(err)
		if errors.As(err, &refused) {
			reader.set(consumerDegraded, err)
		}
		answer(nil)
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// Pauses between attempts to connect again.
const (
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// A backoff is the pauses between attempts: twice as long each time, of which
// a random half, so that the clients of a server that comes back do not all
// come at once.
type backoff struct {
	clock   Clock
	random  func() float64 // within [0, 1)
	attempt int
}

func newBackoff(c Clock) *backoff { return &backoff{clock: c, random: rand.Float64} }

func (b *backoff) next() time.Duration {
	d := maxPause
	if b.attempt < 7 { // minPause << 7 is beyond maxPause
		d = min(minPause<<b.attempt, maxPause)
		b.attempt++
	}
	return d/2 + time.Duration(b.random()*float64(d/2))
}

// random is a number within [0, 1), always the same in tests of plugins.
func (h *Host) random() float64 {
	if h.o.trial != nil {
		return 0.5
	}
	return rand.Float64()
}

// wait sleeps for the next pause, or returns the error of ctx.
func (b *backoff) wait(ctx context.Context) error { return b.clock.Sleep(ctx, b.next()) }
