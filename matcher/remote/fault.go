package remote

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// detailMax is how many bytes are passed on of what a remote says of a fault.
const detailMax = 1 << 10

// errGone says that nobody waits for the answer any more.
var errGone = errors.New("the request has ended")

// refusal is the error that a remote answered with 4xx.
type refusal struct{ fault *matcher.Error }

func (r *refusal) Error() string { return r.fault.Error() }

// failure says why there is no answer. The remote's address stays out of it,
// and so do the names that its certificate has.
func failure(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errGone
	case ctx.Err() != nil:
		return errors.New("it does not answer in time")
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if wrapped, ok := errors.AsType[*net.OpError](err); ok {
		err = wrapped.Err
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		err = errors.New(lookup.Err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		err = errors.New("its certificate is for another name")
	}
	return fmt.Errorf("it does not answer: %w", err)
}

// ours are the codes of faults that are not the client's, but of how the proxy
// and the remote are set up, or of the remote's state.
var ours = map[matcher.Code]bool{
	matcher.CodeInternal: true, matcher.CodeNoRoute: true, matcher.CodeMethod: true, matcher.CodeSyntax: true,
	matcher.CodeUnauthorized: true, matcher.CodeForbidden: true, matcher.CodeMediaType: true, matcher.CodeNotAcceptable: true,
	matcher.CodeUnavailable: true, matcher.CodeDeadline: true, matcher.CodeNoMatcher: true,
}

// theirs are the codes of faults of a client.
var theirs = map[matcher.Code]bool{
	matcher.CodeBadInput: true, matcher.CodeUnknownVersion: true, matcher.CodeTooLarge: true, matcher.CodeNoDescriptor: true,
	matcher.CodeListNotFound: true, matcher.CodeFaceNotFound: true, matcher.CodeEventNotFound: true, matcher.CodeAttrNotFound: true,
	matcher.CodeAccountConflict: true, matcher.CodeWrongVersion: true, matcher.CodeCrossLimit: true, matcher.CodeTooMany: true,
}

// refusal passes on what a remote says the client did wrong; codes that are
// not of the contract become CodeBadInput.
func (r *Remote) refusal(status int, f wire.Format, body []byte) error {
	e, err := parseError(f, body)
	switch {
	case err == nil && e.Code == matcher.CodeRejected:
		return &refusal{matcher.Rejected(status, "remote "+r.config.Name+": "+e.Detail)}
	case err != nil || ours[e.Code] || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return failedStatus(status, f, body)
	case theirs[e.Code]:
		return &refusal{matcher.Errorf(e.Code, "remote %s: %s", r.config.Name, e.Detail)}
	}
	return &refusal{matcher.Errorf(matcher.CodeBadInput, "remote %s: %d: %s: %s", r.config.Name, e.Code, e.Desc, e.Detail)}
}

// failedStatus describes an answer that is none.
func failedStatus(status int, f wire.Format, body []byte) error {
	if e, err := parseError(f, body); err == nil {
		return fmt.Errorf("it answers %d: %d: %s", status, e.Code, e.Detail)
	}
	return fmt.Errorf("it answers %d %s", status, http.StatusText(status))
}

// parseError reads an error of a remote, which may say much.
func parseError(f wire.Format, body []byte) (*wire.ErrorAnswer, error) {
	e, err := wire.ParseError(f, body)
	if err == nil {
		e.Desc, e.Detail = shorten(e.Desc), shorten(e.Detail)
	}
	return e, err
}

func shorten(s string) string {
	if len(s) <= detailMax {
		return s
	}
	return strings.ToValidUTF8(s[:detailMax], "") + "..."
}
