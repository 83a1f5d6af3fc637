package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Target is a server and the requests for it.
type Target struct {
	URL         string // URL of the resource
	ContentType string // content type of bodies and answers
	Bodies      [][]byte
	Status      int           // status of a good answer
	Key         string        // for the server; empty: no key is sent
	Timeout     time.Duration // of a request; 0 means one minute
	TLS         *tls.Config   // of connections to an https server; nil: the default
}

// StatusError is the status of an answer that differs from Target.Status.
type StatusError int

// Error implements error.
func (s StatusError) Error() string { return fmt.Sprintf("HTTP %d", int(s)) }

// answerBytesMax is the largest number of bytes that are read of an answer.
const answerBytesMax = 256 << 20

// Connect returns a Send that posts the bodies one after another. It uses at most clients
// connections and keeps them open. The caller must call closeAll at the end.
func (t *Target) Connect(clients int) (send Send, closeAll func()) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:     t.TLS.Clone(),
		MaxConnsPerHost:     clients,
		MaxIdleConns:        clients,
		MaxIdleConnsPerHost: clients,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10, // sends the body of a batch in few writes
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

// PostFirst posts the first body and returns the answer.
func (t *Target) PostFirst(ctx context.Context) ([]byte, error) {
	var answer bytes.Buffer
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: t.TLS.Clone()}}
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
	if t.Key != "" {
		request.Header.Set("Authorization", "Bearer "+t.Key)
	}
	answer, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	// A connection can be reused only if the answer was read to its end. Without the
	// struct, CopyBuffer would use a method of the writer in place of this buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(answer.Body, answerBytesMax), *buffer)
	switch {
	case err != nil:
		return 0, err
	case answer.StatusCode != t.Status:
		return 0, StatusError(answer.StatusCode)
	}
	return int(n), nil
}

// buffers holds buffers for reading answers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
