package ns

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"nearside/lua/goval"
	httpclient "nearside/lua/ns/http"
	"nearside/lua/vm"
)

var (
	httpMethod = regexp.MustCompile(`^[A-Z]{1,20}$`)
	httpHeader = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
)

const httpOptions = "options?: {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any, retries: integer?, ca_file: string?, cert_file: string?, key_file: string?, stream: (fun(piece: string): boolean?)?}"

// httpModule is ns.http: HTTP/1.1 requests. It ignores the proxy settings of the
// environment, because permissions apply to the address that is contacted.
func httpModule() vm.Module {
	returns := []string{"{status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?", "string? err"}
	verb := func(name string) vm.Function {
		method := strings.ToUpper(name)
		return vm.Function{
			Name: name, Params: []string{"url: string", httpOptions}, Returns: returns, Waits: true,
			Doc: "Makes a " + method + " request; see request.", Run: func(c *vm.Call) error { return httpRequest(c, method, 1) },
		}
	}
	return vm.Module{Name: "http", Doc: "HTTP and HTTPS requests. The names of response headers are in lower case.", Functions: []vm.Function{
		{
			Name: "request", Params: []string{"method: string", "url: string", httpOptions}, Returns: returns, Waits: true,
			Doc: "Makes a request. A response with any status is a result, not an error. json is encoded and sent as the body. Redirects are followed if the plugin is permitted to contact their target. " +
				"With retries = n, the request is sent up to n more times, after growing pauses, when the connection fails or the status is 429, 502, 503 or 504; the server may then get it more than once. " +
				"ca_file, cert_file and key_file are PEM files for https: the trusted authorities, and the certificate and key of the client. " +
				"With stream, fn receives the body in pieces of up to 64 KiB, without a limit of its size; if it returns false, the rest is not read. body is then empty, and timeout_ms limits the wait for each piece.",
			Run: func(c *vm.Call) error { return httpRequest(c, strings.ToUpper(c.Text(1)), 2) },
		},
		verb("get"), verb("post"),
	}}
}

// httpRequest makes the request of a call. Argument i is the URL, argument i+1 the options.
func httpRequest(c *vm.Call, method string, i int) error {
	in := self(c)
	if !httpMethod.MatchString(method) {
		return errors.New("method must be a word of 1 to 20 letters")
	}
	o := &goval.Reader{Map: c.Map(i + 1), Path: "options."}
	h := &httpCall{in: in, retries: o.Whole("retries", 0, 0, maxHTTPRetries), stream: readFunc(o, "stream")}
	h.tls = httpclient.TLS{CAFile: o.Text("ca_file", ""), CertFile: o.Text("cert_file", ""), KeyFile: o.Text("key_file", "")}
	if h.tls.KeyFile != "" && h.tls.CertFile == "" {
		o.Fault("key_file", "needs cert_file")
	}
	var err error
	if h.request, err = newHTTPRequest(method, c.Text(i), o); err != nil {
		return err
	}
	if err := in.Permit("http", httpclient.Target(h.request.URL)); err != nil {
		return err
	}
	h.timeout = readTimeout(o)
	if h.stream != nil {
		return h.runStream(c)
	}
	var response *httpclient.Response
	err = c.Wait(func(ctx context.Context) (err error) {
		response, err = h.withRetries(ctx, h.attempt)
		return err
	})
	if err != nil {
		return h.fail(c, err)
	}
	c.Allocate(2 * len(response.Body))
	body := string(response.Body)
	return c.Return(map[string]any{
		"status": response.Status, "headers": response.Headers, "body": body,
		"json": vm.Closure{Holds: body, Run: func(c *vm.Call) error { return returnJSON(c, body) }},
	})
}

// shownURL returns the URL without user, password and query, which may be secret.
func shownURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// newHTTPRequest checks the arguments of a script and returns the request.
func newHTTPRequest(method, text string, o *goval.Reader) (*http.Request, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !httpclient.IsHTTP(u.Scheme) {
		return nil, errors.New("the url is not of the form http://host[:port]/path or https://host[:port]/path")
	}
	o.RefuseUnknown("body", "headers", "query", "timeout_ms", "json", "retries", "ca_file", "cert_file", "key_file", "stream")
	body := o.Text("body", "")
	contentType := ""
	if v, ok := o.Map["json"]; ok {
		if o.Map["body"] != nil {
			o.Fault("json", "give either json or body, not both")
		}
		encoded, err := goval.EncodeJSON(v)
		if err != nil {
			o.Fault("json", "%w", err)
		}
		body, contentType = string(encoded), "application/json"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil && len(o.Table("query")) > 0 {
		o.Fault("query", "the url has a query that cannot be extended: %w", err)
	}
	for name, v := range o.Table("query") {
		value, err := goval.ScalarText(v)
		if err != nil {
			o.Fault("query."+name, "%w", err)
		}
		query.Set(name, value)
	}
	if len(o.Table("query")) > 0 {
		u.RawQuery = query.Encode()
	}
	readTimeout(o) // reports an invalid timeout together with the other faults
	request := &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {"nearside"}}}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	setHeaders(request, o)
	if body != "" {
		request.ContentLength = int64(len(body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		request.Body, _ = request.GetBody() // it never fails
	}
	return request, errors.Join(o.Faults...)
}

func setHeaders(request *http.Request, o *goval.Reader) {
	headers := o.Table("headers")
	if len(headers) > httpclient.MaxHeaders {
		o.Fault("headers", "must have at most %d entries, got %d", httpclient.MaxHeaders, len(headers))
	}
	seen := map[string]bool{}
	for name, v := range headers {
		if lower := strings.ToLower(name); seen[lower] {
			o.Fault("headers", "%q is given twice: names of headers do not depend on upper and lower case", lower)
		} else {
			seen[lower] = true
		}
		value, err := goval.ScalarText(v)
		if err != nil {
			o.Fault("headers", "the value of %q: %w", name, err)
			continue
		}
		if !httpHeader.MatchString(name) || strings.ContainsFunc(value, isControl) {
			o.Fault("headers", "%q is not a valid header name, or its value has bytes that a header cannot have", name)
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

// httpClient returns the plugin's HTTP client. The first call creates it. Its
// connections belong to the plugin, not to the instance, because instances share
// them and can be replaced.
func (in *Instance) httpClient() *httpclient.Client {
	p := in.Plugin
	n := &p.network
	n.once.Do(func() {
		n.http = httpclient.New(p.Host.Doubles.Transport, func(target string) error { return p.About.Permissions.permit("http", target) })
	})
	in.idleHTTP.Do(func() {
		in.OnClose(func() error {
			n.http.CloseIdle()
			return nil
		})
	})
	return n.http
}
