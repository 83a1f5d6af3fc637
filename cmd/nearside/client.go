package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"nearside/internal/config"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// defaultURL is where a server listens by default.
const defaultURL = "http://127.0.0.1:5110"

// remoteFlag is the flag of the commands that speak to a server.
type remoteFlag struct {
	URL string `help:"Address of the server (default: http://127.0.0.1:5110)." default:"http://127.0.0.1:5110" placeholder:"URL"`
}

// client speaks to a server.
type client struct {
	base string
	http *http.Client
}

// answerBytesMax bounds an answer that is read as a whole.
const answerBytesMax = 256 << 20

func newClient(base string) (*client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("--url: %q is not a URL like %s", base, defaultURL)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 10 * time.Minute, // a large import is answered when it is stored
	}
	return &client{strings.TrimSuffix(base, "/"), &http.Client{Transport: transport}}, nil
}

// do sends a request whose answer is a stream, which the caller closes. An
// answer other than 2xx is an error.
func (c *client) do(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) (io.ReadCloser, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		if c, ok := body.(io.Closer); ok { // as http.Client does
			closeRead(c)
		}
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer.Body, nil
	}
	defer closeRead(answer.Body)
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // as much as there is
	if fault, err := wire.ParseError(wire.JSON, text); err == nil {
		return nil, fmt.Errorf("server: %s (%d: %s)", fault.Detail, fault.Code, fault.Desc)
	}
	return nil, fmt.Errorf("server: %s %s: %s", method, path, answer.Status)
}

// explain says what a failed connection means.
func (c *client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody answers at %s: is `nearside serve` running there?", c.base)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", c.base, err)
}

// call sends in as JSON, unless it is nil, and reads the answer as a whole.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	return c.send(ctx, method, path, query, "application/json", body)
}

func (c *client) send(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) ([]byte, error) {
	answer, err := c.do(ctx, method, path, query, contentType, body)
	if err != nil {
		return nil, err
	}
	defer closeRead(answer)
	data, err := io.ReadAll(io.LimitReader(answer, answerBytesMax+1))
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case len(data) > answerBytesMax:
		return nil, fmt.Errorf("server: the answer of %s is longer than %d bytes", path, answerBytesMax)
	}
	return data, nil
}

// closeRead closes what was only read: nothing is lost by a failure.
func closeRead(c io.Closer) { _ = c.Close() }

// serverConfig is what a client needs to know of a server's configuration.
type serverConfig struct {
	versions   *matcher.Registry
	references int // most in a request
}

// config asks the server.
func (c *client) config(ctx context.Context) (*serverConfig, error) {
	data, err := c.call(ctx, http.MethodGet, "/config", nil, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Descriptors struct{ Versions any }
		Limits      struct{ References int }
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("server: /config: %w", err)
	}
	var custom []matcher.Version
	if answer.Descriptors.Versions != nil {
		if custom, err = config.Versions(answer.Descriptors.Versions); err != nil {
			return nil, fmt.Errorf("server: /config: %w", err)
		}
	}
	versions, err := matcher.NewRegistry(custom)
	if err != nil {
		return nil, fmt.Errorf("server: /config: %w", err)
	}
	return &serverConfig{versions, max(1, answer.Limits.References)}, nil
}
