package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// send sends a body, which belongs to the answer from now on. The room that was
// reserved for the answer becomes that of the body.
func (x *exchange) send(status int, contentType string, body []byte) error {
	x.conn.answer.shrink(int64(cap(body)))
	x.conn.answer.resume()
	x.SetStatusCode(status)
	x.SetContentType(contentType)
	x.Response.SetBodyRaw(body)
	return nil
}

// answer sends a body in the format that the client accepts. JSON ends with a
// newline, for those who read it in a terminal.
func (x *exchange) answer(status int, body []byte) error {
	if x.out == wire.JSON {
		body = append(body, '\n')
	}
	return x.send(status, x.out.MediaType(), body)
}

// value sends a small object.
func (x *exchange) value(status int, v map[string]any) error {
	return x.answer(status, wire.AppendValue(nil, x.out, v))
}

func (x *exchange) noContent() error {
	x.SetStatusCode(http.StatusNoContent)
	return nil
}

// fail answers an error. What is our own fault goes to the log, under the
// request's id.
func (x *exchange) fail(err error) {
	e := asError(err)
	x.code = e.Code
	x.aborted = x.aborted || errors.Is(err, errUnsent)
	if x.aborted && x.long {
		x.server.Log.Info("the client left before the request was complete", "request_id", x.requestID, "route", x.route, "error", err)
	}
	if x.Response.GetHijackWriter() != nil { // the answer has begun: the client sees that it is cut
		if !x.aborted {
			x.server.Log.Warn("answer was cut", "request_id", x.requestID, "route", x.route, "error", err)
		}
		x.conn.cut()
		return
	}
	status, body := failure(e, x.out, x.requestID)
	switch status {
	case http.StatusInternalServerError:
		x.server.Log.Error("request failed", "request_id", x.requestID, "route", x.route, "error", err)
	case http.StatusServiceUnavailable:
		x.Response.Header.Set("Retry-After", retryAfter(e))
	}
	_ = x.answer(status, body)
}

// retryAfter is the header of an error of status 503, in seconds: what the
// error says, within 1..60.
func retryAfter(e *matcher.Error) string {
	seconds := math.Ceil(e.RetryAfter.Seconds())
	return strconv.Itoa(int(min(max(seconds, 1), 60)))
}

// failure returns how clients see an error.
func failure(e *matcher.Error, f wire.Format, requestID string) (status int, body []byte) {
	seen, ok := faults[e.Code]
	if !ok {
		seen = faults[matcher.CodeInternal]
	}
	detail := strings.ToValidUTF8(e.Detail, "\ufffd")
	if seen.status == http.StatusInternalServerError {
		detail = "look for request " + requestID + " in the log"
	}
	if e.Code == matcher.CodeRejected && e.Status >= 400 && e.Status <= 499 {
		seen.status = e.Status
	}
	link := fmt.Sprintf("/docs/errors#%d", e.Code)
	if errors.Is(e, errLargeHeader) {
		seen.status = http.StatusRequestHeaderFieldsTooLarge
	}
	return seen.status, wire.AppendError(nil, f, e.Code, seen.desc, detail, link)
}
