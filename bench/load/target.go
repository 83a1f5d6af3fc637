package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Target is a server and what is sent to it.
type Target struct {
	URL         string // of the resource
	ContentType string // of bodies and of answers
	Bodies      [][]byte
	Status      int           // of a good answer
	Timeout     time.Duration // of a request; 0: a minute
}

// StatusError is an answer with another status than asked for.
type StatusError int

// Error implements error.
func (s StatusError) Error() string { return fmt.Sprintf("HTTP %d", int(s)) }

// answerBytesMax bounds what is read of an answer.
const answerBytesMax = 256 << 20

// Connect returns a Send that posts the bodies in turn, over at most clients
// connections that stay open; the caller closes them in the end.
func (t *Target) Connect(clients int) (send Send, closeAll func()) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxConnsPerHost:     clients,
		MaxIdleConns:        clients,
		MaxIdleConnsPerHost: clients,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10, // a body of a batch in few writes
		ReadBufferSize:      64 << 10,
	}
	timeout := t.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	c := &http.Client{Transport: transport, Timeout: timeout}
	return func(ctx context.Context, i int) (int, error) {
		return t.post(ctx, c, t.Bodies[i%len(t.Bodies)], io.Discard)
	}, transport.CloseIdleConnections
}

// Once posts the first body and returns the answer.
func (t *Target) Once(ctx context.Context) ([]byte, error) {
	var answer bytes.Buffer
	c := &http.Client{Timeout: time.Minute}
	defer c.CloseIdleConnections()
	_, err := t.post(ctx, c, t.Bodies[0], &answer)
	if err != nil {
		return nil, fmt.Errorf("load: %s: %w", t.URL, err)
	}
	return answer.Bytes(), nil
}

func (t *Target) post(ctx context.Context, c *http.Client, body []byte, to io.Writer) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", t.ContentType)
	request.Header.Set("Accept", t.ContentType)
	answer, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	// Reading to the end is what lets the connection be used again. The plain
	// Writer keeps CopyBuffer from using other buffers than this one.
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(answer.Body, answerBytesMax), *buffer)
	switch {
	case err != nil:
		return 0, err
	case answer.StatusCode != t.Status:
		return 0, StatusError(answer.StatusCode)
	}
	return int(n), nil
}

// buffers are for reading answers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
