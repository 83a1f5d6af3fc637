package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A Client is the part that the redis and amqp clients have in common. It ends when
// it is closed or when its owner ends. The owner waits until the client has ended.
type Client struct {
	Owner   Owner
	Target  string        // host:port, for messages
	Timeout time.Duration // of each operation

	ctx   context.Context // of the client
	task  Task            // cancelling it ends the client
	ended chan struct{}   // closed when the function passed to Open has returned
}

// Open opens the client. closeAll is called once when the client ends; it must close
// everything that the client holds. Open fails if the plugin has MaxClients
// clients already.
func (k *Client) Open(closeAll func()) error {
	clients := &k.Owner.Usage().clients
	if !reserve(clients, MaxClients) {
		return fmt.Errorf("the plugin has %d clients: close one, or keep one and use it again", MaxClients)
	}
	begun := make(chan context.Context, 1)
	k.ended = make(chan struct{})
	task, err := k.Owner.GoIdle(func(ctx context.Context) {
		begun <- ctx
		<-ctx.Done()
		closeAll()
		clients.Add(-1)
		close(k.ended)
	})
	if err != nil {
		clients.Add(-1)
		return err
	}
	k.task, k.ctx = task, <-begun
	return nil
}

// Context returns a context that ends with the client.
func (k *Client) Context() context.Context { return k.ctx }

// Close ends the client and waits until it has ended or ctx ends.
func (k *Client) Close(ctx context.Context) error {
	k.task.Cancel()
	select {
	case <-k.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cancel ends the client without waiting.
func (k *Client) Cancel() { k.task.Cancel() }

// WithTarget adds the target to err. If the operation timed out or the client is
// closed, it returns an error that says so, because the libraries report only a broken
// connection. ctx is the context of the operation.
func (k *Client) WithTarget(ctx context.Context, err error) error {
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
	return fmt.Errorf("%s: %w", k.Target, err)
}

// Within runs f under the client's timeout. The context of f also ends when the
// client ends. If the client has ended already, f does not run. AfterFunc alone does not
// ensure this, because it cancels ctx in another goroutine, and f could complete before.
func (k *Client) Within(ctx context.Context, f func(ctx context.Context) error) error {
	if err := k.ctx.Err(); err != nil {
		return k.WithTarget(ctx, err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.Timeout)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	return k.WithTarget(ctx, f(ctx))
}

// FirstAttempt is how long a caller waits for the outcome of a reader's first
// attempt to connect. After that time, the reader continues in the background.
const FirstAttempt = 2 * time.Second

// A RefusalError is an error reply to a mistake that only the plugin's author can
// fix, such as the name of a stream that is a key of another type.
type RefusalError struct{ Reason error }

func (r RefusalError) Error() string { return r.Reason.Error() }

func (r RefusalError) Unwrap() error { return r.Reason }

// A Reader describes what Client.Follow runs, such as a subscription.
type Reader struct {
	What string // for messages: "subscription"
	Name string // for /1/plugins
	// Run reads until the connection is lost. After a pause it is called
	// again. It must call status.Set(Running, nil) when it starts to read.
	//
	// ctx ends when the reader must not take more messages: the task was
	// cancelled, the client was closed, or a drain has begun. Before Run
	// returns, a handler in progress must finish and its message must be
	// acknowledged. Both use the context of the owner, not ctx.
	Run func(ctx context.Context, status *Consumer) error
	// Release is called once when the reader has ended or Follow has failed.
	Release func()
}

// Follow runs a reader in its own goroutine and waits up to FirstAttempt for the
// first attempt to connect. If the first attempt fails with a [RefusalError],
// Follow returns the error and the reader ends. If the server cannot be reached,
// Follow returns no error and the reader keeps trying.
func (k *Client) Follow(ctx context.Context, r Reader) (Task, error) {
	usage := k.Owner.Usage()
	if !usage.OpenReader() {
		r.Release()
		return nil, ErrTooManyReaders
	}
	first := make(chan error, 1)
	status := k.Owner.NewConsumer(r.Name)
	f := NewFlight(k.Owner.Counter())
	task, err := k.Owner.Go(func(ctx context.Context) {
		defer f.End()
		defer usage.CloseReader()
		defer status.Remove()
		defer r.Release()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(k.ctx, cancel)()
		defer k.Owner.OnDrain(func(limit context.Context) {
			cancel()
			f.Wait(limit)
		})()
		k.repeat(ctx, r, status, first)
		status.end()
	})
	if err != nil {
		status.Remove()
		usage.CloseReader()
		r.Release()
		return nil, err
	}
	if err := AwaitFirst(ctx, first); err != nil {
		task.Cancel()
		return nil, err
	}
	return task, nil
}

// ErrTooManyReaders means that the plugin has MaxReaders readers already.
var ErrTooManyReaders = fmt.Errorf("the plugin has %d subscriptions and consumers already", MaxReaders)

// AwaitFirst waits for the outcome of a first attempt to connect and returns it.
// It returns nil after FirstAttempt.
func AwaitFirst(ctx context.Context, first <-chan error) error {
	limit := time.NewTimer(FirstAttempt)
	defer limit.Stop()
	select {
	case err := <-first:
		return err
	case <-limit.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// repeat calls r.Run until ctx ends. It sends the outcome of the first attempt to
// first.
func (k *Client) repeat(ctx context.Context, r Reader, status *Consumer, first chan<- error) {
	pause := NewBackoff(k.Owner)
	reported := false
	reportFirst := func(err error) {
		if !reported {
			reported = true
			first <- err
		}
	}
	status.onConnected(func() {
		pause.Reset()
		reportFirst(nil)
	})
	for {
		err := k.WithTarget(ctx, r.Run(ctx, status))
		if ctx.Err() != nil {
			reportFirst(err)
			return
		}
		_, isRefused := errors.AsType[RefusalError](err)
		if isRefused && !reported {
			reportFirst(err)
			return
		}
		k.Owner.Report(r.What, err)
		status.Lost(err)
		if isRefused {
			status.Set(Degraded, err)
		}
		reportFirst(nil)
		if pause.Wait(ctx) != nil {
			return
		}
	}
}
