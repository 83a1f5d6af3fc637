package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"nearside/internal/access"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// send sends a body, compressed if the client accepts that. The caller must not change the
// body any more. send gives back the room that was reserved for the answer and that the body
// does not need.
func (x *exchange) send(status int, contentType string, body []byte) error {
	body = x.compress(body)
	x.conn.answer.shrink(int64(cap(body)))
	x.conn.answer.resume()
	x.SetStatusCode(status)
	x.SetContentType(contentType)
	x.Response.SetBodyRaw(body)
	return nil
}

// sendBody sends a body in the format that the client accepts. JSON ends with a
// newline, for people who read it in a terminal.
func (x *exchange) sendBody(status int, body []byte) error {
	if x.out == wire.JSON {
		body = append(body, '\n')
	}
	return x.send(status, x.out.MediaType(), body)
}

// sendValue encodes and sends a small object.
func (x *exchange) sendValue(status int, v map[string]any) error {
	return x.sendBody(status, wire.AppendValue(nil, x.out, v))
}

func (x *exchange) sendNoContent() error {
	x.SetStatusCode(http.StatusNoContent)
	return nil
}

// sendError answers with an error. Internal errors are logged with the ID of the
// request.
func (x *exchange) sendError(err error) {
	e := asError(err).For(x.viewer())
	x.code = e.Code
	x.aborted = x.aborted || errors.Is(err, errUnsent)
	if x.aborted && x.operation.long {
		x.options.Log.Info("the client left before the request was complete", "client", x.client.String(), "request_id", x.requestID, "route", x.route, "error", err)
	}
	if x.Response.GetHijackWriter() != nil { // the answer has begun, so the client gets only a part of it
		if !x.aborted {
			x.options.Log.Warn("answer was cut", "client", x.client.String(), "request_id", x.requestID, "route", x.route, "error", err)
		}
		x.conn.cut()
		return
	}
	if e.Methods != nil {
		x.Response.Header.Set("Allow", strings.Join(e.Methods, ", "))
	}
	status, body := errorAnswer(e, x.out, x.requestID)
	x.logInternal(status, err)
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		x.Response.Header.Set("Retry-After", retryAfter(e))
	case http.StatusUnauthorized:
		x.Response.Header.Set("WWW-Authenticate", "Bearer")
	}
	_ = x.sendBody(status, body)
}

// logInternal logs an internal error.
func (x *exchange) logInternal(status int, err error) {
	if status == http.StatusInternalServerError {
		x.options.Log.Error("request failed", "client", x.client.String(), "request_id", x.requestID, "route", x.route, "error", err)
	}
}

// retryAfter returns the header Retry-After of a 503 or 429: the time of the error in
// seconds, at least 1. Of a 503 it is at most 60, because it is an estimate.
func retryAfter(e *matcher.Error) string {
	seconds := max(math.Ceil(e.RetryAfter.Seconds()), 1)
	if e.Code != matcher.CodeBusy {
		seconds = min(seconds, 60)
	}
	return strconv.Itoa(int(seconds))
}

// errorAnswer returns the status and the body of an error.
func errorAnswer(e *matcher.Error, f wire.Format, requestID string) (status int, body []byte) {
	status, desc, detail, link := errorFields(e, requestID)
	return status, wire.AppendError(nil, f, e.Code, desc, detail, link)
}

// errorFields returns the status and the fields of an error.
func errorFields(e *matcher.Error, requestID string) (status int, desc, detail, link string) {
	entry, ok := faults[e.Code]
	if !ok {
		entry = faults[matcher.CodeInternal]
	}
	// Errors do not repeat a key that was sent in the wrong place.
	detail = access.Mask(strings.ToValidUTF8(e.Detail, "\ufffd"), "ns_***")
	if entry.status == http.StatusInternalServerError {
		detail = "look for request " + requestID + " in the log"
	}
	if e.Code == matcher.CodeRejected && e.Status >= 400 && e.Status <= 499 {
		entry.status = e.Status
	}
	if errors.Is(e, errLargeHeader) {
		entry.status = http.StatusRequestHeaderFieldsTooLarge
	}
	return entry.status, entry.desc, detail, fmt.Sprintf("/docs/errors#%d", e.Code)
}
