package lua

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"nearside/lua/vm"
)

// Bounds of HTTP requests.
const (
	maxHTTPCalls     = 32       // in progress, of a plugin; more wait for their turn
	maxHTTPBody      = 8 << 20  // bytes of a response, unpacked
	maxHTTPHeaders   = 128      // of a request or response
	maxHTTPHeaderLen = 64 << 10 // bytes of a response's headers
	maxRedirects     = 5
)

var (
	httpMethod = regexp.MustCompile(`^[A-Z]{1,20}$`)
	httpHeader = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
)

var httpPorts = map[string]string{"http": "80", "https": "443"}

const httpOptions = "options?: {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any}"

// httpModule makes HTTP/1.1 requests. It uses no proxy of the environment:
// permissions are about the address that is reached.
func httpModule() vm.Module {
	returns := []string{"{status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?", "string? err"}
	verb := func(name string) vm.Function {
		method := strings.ToUpper(name)
		return vm.Function{
			Name: name, Params: []string{"url: string", httpOptions}, Returns: returns, Waits: true,
			Doc: "Makes a " + method + " request.", Run: func(c *vm.Call) error { return httpRun(c, method, 1) },
		}
	}
	return vm.Module{Name: "http", Doc: "HTTP and HTTPS. Names of response headers are in lower case.", Functions: []vm.Function{
		{
			Name: "request", Params: []string{"method: string", "url: string", httpOptions}, Returns: returns, Waits: true,
			Doc: "Makes a request; any status is a result. json is sent as the body. Redirects are followed as far as the permissions go.",
			Run: func(c *vm.Call) error { return httpRun(c, strings.ToUpper(c.Text(1)), 2) },
		},
		verb("get"), verb("post"),
	}}
}

// httpRun makes the request of a call whose URL is argument i.
func httpRun(c *vm.Call, method string, i int) error {
	in := self(c)
	if !httpMethod.MatchString(method) {
		return errors.New("method is not a word of letters")
	}
	o := &reader{m: c.Map(i + 1), at: "options."}
	request, err := newHTTPRequest(method, c.Text(i), o)
	if err != nil {
		return err
	}
	if err := in.permit("http", httpTarget(request.URL)); err != nil {
		return err
	}
	timeout := o.timeout()
	var response *httpResponse
	err = c.Wait(func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		response, err = in.fetch(ctx, request)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errors.New("timeout")
		}
		return err
	})
	if err != nil {
		return c.Fail(fmt.Errorf("%s %s: %w", method, shownURL(request.URL), err))
	}
	c.Allocate(2 * len(response.body))
	body := string(response.body)
	return c.Return(map[string]any{
		"status": response.status, "headers": response.headers, "body": body,
		"json": vm.Closure{Holds: body, Run: func(c *vm.Call) error { return returnJSON(c, body) }},
	})
}

// httpTarget is host:port.
func httpTarget(u *url.URL) string {
	return endpoint{host: u.Hostname(), port: orDefault(u.Port(), httpPorts[u.Scheme])}.target()
}

func orDefault(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// shownURL leaves out what may be secret.
func shownURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// newHTTPRequest checks everything that the author of a script may get wrong.
func newHTTPRequest(method, text string, o *reader) (*http.Request, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || httpPorts[u.Scheme] == "" {
		return nil, errors.New("the url is not of the form http://host[:port]/path or https://host[:port]/path")
	}
	o.known("body", "headers", "query", "timeout_ms", "json")
	body := o.text("body", "")
	contentType := ""
	if v, ok := o.m["json"]; ok {
		if o.m["body"] != nil {
			o.fault("json", "give either json or body")
		}
		encoded, err := encodeJSON(v)
		if err != nil {
			o.fault("json", "%w", err)
		}
		body, contentType = string(encoded), "application/json"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil && len(o.table("query")) > 0 {
		o.fault("query", "the url has a query that cannot be extended: %w", err)
	}
	for name, v := range o.table("query") {
		value, err := scalar(v)
		if err != nil {
			o.fault("query."+name, "%w", err)
		}
		query.Set(name, value)
	}
	if len(o.table("query")) > 0 {
		u.RawQuery = query.Encode()
	}
	o.timeout()
	request := &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {"nearside"}}}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	setHeaders(request, o)
	if body != "" {
		request.ContentLength = int64(len(body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		request.Body, _ = request.GetBody() // it has no error
	}
	return request, errors.Join(o.faults...)
}

func setHeaders(request *http.Request, o *reader) {
	headers := o.table("headers")
	if len(headers) > maxHTTPHeaders {
		o.fault("headers", "there are more than %d", maxHTTPHeaders)
	}
	seen := map[string]bool{}
	for name, v := range headers {
		if lower := strings.ToLower(name); seen[lower] {
			o.fault("headers", "%q is given twice: names of headers do not depend on upper and lower case", lower)
		} else {
			seen[lower] = true
		}
		value, err := scalar(v)
		if err != nil || !httpHeader.MatchString(name) || strings.ContainsFunc(value, isControl) {
			o.fault("headers", "%q is no name of a header, or its value has bytes that no header has", name)
			continue
		}
		if strings.EqualFold(name, "host") {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// scalar is a string, number or boolean as text.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, float64, vm.Integer:
		text, err := encodeJSON(v)
		return string(text), err
	}
	return "", errors.New("is no string, number or boolean")
}

type httpResponse struct {
	status  int
	headers map[string]string
	body    []byte
}

// fetch waits for a turn, makes the request, and reads the whole response.
func (in *instance) fetch(ctx context.Context, request *http.Request) (*httpResponse, error) {
	n := in.httpNetwork()
	select {
	case n.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-n.calls }()
	r, err := n.http.Do(request.WithContext(ctx))
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // the outer one has the whole URL in it
		}
		return nil, err
	}
	defer func() { _ = r.Body.Close() }() // nothing is written through it
	if len(r.Header) > maxHTTPHeaders {
		return nil, fmt.Errorf("the response has more than %d headers", maxHTTPHeaders)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHTTPBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxHTTPBody {
		return nil, fmt.Errorf("the response is larger than %d bytes", maxHTTPBody)
	}
	headers := make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return &httpResponse{r.StatusCode, headers, body}, nil
}

// httpNetwork makes the plugin's HTTP client when it is needed first. Its
// connections belong to the plugin, not to the instance: instances are
// replaced, and share them.
func (in *instance) httpNetwork() *network {
	p := in.plugin
	n := &p.network
	n.once.Do(func() {
		n.calls = make(chan struct{}, maxHTTPCalls)
		transport := &http.Transport{
			MaxConnsPerHost: maxHTTPCalls, MaxIdleConns: maxHTTPCalls, MaxIdleConnsPerHost: 8,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: defaultTimeout,
			MaxResponseHeaderBytes: maxHTTPHeaderLen, Protocols: new(http.Protocols),
		}
		transport.Protocols.SetHTTP1(true)
		n.http = &http.Client{Transport: p.host.transport(transport), CheckRedirect: p.redirect}
	})
	in.idleHTTP.Do(func() {
		in.onClose(func() error {
			n.http.CloseIdleConnections()
			return nil
		})
	})
	return n
}

// redirect decides whether a redirect is followed.
func (p *plugin) redirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if httpPorts[request.URL.Scheme] == "" {
		return errors.New("redirected to a url that is not http or https")
	}
	if err := p.permissions.permit("http", httpTarget(request.URL)); err != nil {
		return fmt.Errorf("redirected to %s: %w", request.URL.Host, err)
	}
	return nil
}
