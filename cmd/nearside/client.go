package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
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

// client is a client of a server.
type client struct {
	base   string
	http   *http.Client
	secure *tls.Config // of connections to an https server
	key    string      // empty: no key is sent
}

// answerBytesMax bounds an answer that is read into memory.
const answerBytesMax = 256 << 20

// newClient returns a client of the server at base, which is the value of a flag or of
// an environment variable with the given name. secure is used for https.
func newClient(name, base string, secure *tls.Config) (*client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("%s: must be a URL such as %s, got %q", name, defaultURL, base)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:       secure,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 10 * time.Minute, // the answer to a large import comes after everything was stored
		DisableCompression:    true,             // compressing an export takes longer than sending it in most networks
	}
	return &client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport}, secure: secure}, nil
}

// stream sends a request and returns the answer as a stream, which the caller closes.
// An answer other than 2xx is an error.
func (c *client) stream(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) (io.ReadCloser, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		if c, ok := body.(io.Closer); ok { // http.Client.Do closes the body too
			closeRead(c)
		}
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer.Body, nil
	}
	defer closeRead(answer.Body)
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // after an error, the part that was read is used
	if fault, err := wire.ParseError(wire.JSON, text); err == nil {
		return nil, &serverError{fault}
	}
	return nil, fmt.Errorf("server: %s %s: %s", method, path, answer.Status)
}

// serverError is an error that the server returned.
type serverError struct{ *wire.ErrorAnswer }

func (f *serverError) Error() string {
	return fmt.Sprintf("server: %s (%d: %s)", f.Detail, f.Code, f.Desc)
}

// explain returns a clear error for a failed connection.
func (c *client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: connection refused; is `nearside serve` running there?", c.base)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if advice := tlsAdvice(err); advice != "" {
		return fmt.Errorf("%s: %w; %s", c.base, err, advice)
	}
	return fmt.Errorf("%s: %w", c.base, err)
}

// tlsAdvice says what to do about an error of TLS.
func tlsAdvice(err error) string {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, misnamed := errors.AsType[x509.HostnameError](err)
	switch {
	case unknown:
		return "if the authority is your own, name its certificate with --ca-file"
	case misnamed:
		return "use a name or an address that is in the certificate of the server"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http has no type for it
		return "the server does not use TLS there, so the address must begin with http://"
	case strings.Contains(err.Error(), "certificate required"):
		return "the server needs a client certificate; name it with --cert-file"
	}
	return ""
}

// call sends in as JSON, or no body if in is nil, and reads the whole answer.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	return c.sendBody(ctx, method, path, query, "application/json", body)
}

// sendBody sends a request and reads the whole answer.
func (c *client) sendBody(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) ([]byte, error) {
	answer, err := c.stream(ctx, method, path, query, contentType, body)
	if err != nil {
		return nil, err
	}
	defer closeRead(answer)
	data, err := io.ReadAll(io.LimitReader(answer, answerBytesMax+1))
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case len(data) > answerBytesMax:
		return nil, fmt.Errorf("server: the answer of %s has more than %d bytes", path, answerBytesMax)
	}
	return data, nil
}

// closeRead closes a stream or file that was only read. An error would lose no data.
func closeRead(c io.Closer) { _ = c.Close() }

// serverConfig is the part of a server's configuration that clients need.
type serverConfig struct {
	versions      *matcher.Registry
	referencesMax int  // per request
	hidden        bool // the key may not read the configuration, so the other members are guesses
}

// referencesOfOthers is how many references a request has if the configuration of the
// server is hidden. The default limit is 1000.
const referencesOfOthers = 100

// config asks the server for its configuration. A key without the role admin cannot read
// it; then only the built-in versions are known.
func (c *client) config(ctx context.Context) (*serverConfig, error) {
	data, err := c.call(ctx, http.MethodGet, "/config", nil, nil)
	if fault, ok := errors.AsType[*serverError](err); ok && fault.Code == matcher.CodeForbidden {
		versions, err := matcher.NewRegistry(nil)
		return &serverConfig{versions, referencesOfOthers, true}, err
	}
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
	return &serverConfig{versions, max(1, answer.Limits.References), false}, nil
}
