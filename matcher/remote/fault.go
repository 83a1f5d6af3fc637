package remote

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// detailMax is how many bytes of a remote's error text are passed on.
const detailMax = 1 << 10

// errRequestEnded is the error of a call whose request was cancelled.
var errRequestEnded = errors.New("the request has ended")

// refusal is a fault of the client that a remote reported with status 4xx.
type refusal struct{ fault *matcher.Error }

func (r *refusal) Error() string { return r.fault.Error() }

// failure returns the error for a call without an answer. It contains neither the
// address of the remote nor the names in its certificate.
func failure(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errRequestEnded
	case ctx.Err() != nil:
		return errors.New("it did not answer in time")
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
	return fmt.Errorf("it did not answer: %w", err)
}

// setupCodes are the codes of faults that the client did not cause. Their cause is
// the setup of the proxy and the remote, or the state of the remote.
var setupCodes = map[matcher.Code]bool{
	matcher.CodeInternal: true, matcher.CodeNoRoute: true, matcher.CodeMethod: true, matcher.CodeSyntax: true,
	matcher.CodeUnauthorized: true, matcher.CodeForbidden: true, matcher.CodeMediaType: true, matcher.CodeNotAcceptable: true,
	matcher.CodeUnavailable: true, matcher.CodeDeadline: true, matcher.CodeNoMatcher: true,
}

// clientCodes are the codes of faults that the client caused.
var clientCodes = map[matcher.Code]bool{
	matcher.CodeBadInput: true, matcher.CodeUnknownVersion: true, matcher.CodeTooLarge: true, matcher.CodeNoDescriptor: true,
	matcher.CodeListNotFound: true, matcher.CodeFaceNotFound: true, matcher.CodeEventNotFound: true, matcher.CodeAttrNotFound: true,
	matcher.CodeAccountConflict: true, matcher.CodeWrongVersion: true, matcher.CodeCrossLimit: true, matcher.CodeTooMany: true,
}

// newField matches the error of a server that is too old to know group, offset, count,
// exclude_self or the object of a reference. Another matcher may answer instead.
var newField = regexp.MustCompile(`^(?:candidates\[\d+\]\.(?:group|offset|count|exclude_self)|references\[\d+\]\.object): unknown field$`)

// newType matches the error of a server that is too old to know references of type together.
var newType = regexp.MustCompile(`^references\[\d+\]\.(?:type: must be one of .*, got "together"|(?:references|fuse): unknown field)$`)

// refusedStatus returns the error for an answer with status 4xx. A fault of the client
// keeps its code; a code that is not in the contract becomes CodeBadInput.
func (r *Remote) refusedStatus(status int, f wire.Format, body []byte, place placer) error {
	e, err := parseError(f, body)
	switch {
	case err == nil && e.Code == matcher.CodeRejected:
		return &refusal{matcher.Rejected(status, "remote "+r.config.Name+": "+e.Detail)}
	case err != nil || setupCodes[e.Code] || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return failedStatus(status, f, body, place)
	}
	path, detail := place.locate(e.Detail)
	if newField.MatchString(e.Detail) {
		return &refusal{matcher.Errorf(matcher.CodeNoMatcher, "%s: remote %s does not know this field: its version is older", path, r.config.Name)}
	}
	if newType.MatchString(e.Detail) {
		return &refusal{matcher.Errorf(matcher.CodeNoMatcher, "%s: remote %s does not know the type together: its version is older", path, r.config.Name)}
	}
	fault := matcher.Errorf(e.Code, "remote %s: %s", r.config.Name, detail)
	if !clientCodes[e.Code] {
		fault = matcher.Errorf(matcher.CodeBadInput, "remote %s: %d: %s: %s", r.config.Name, e.Code, e.Desc, detail)
	}
	if path != "" {
		fault = fault.Locate(path)
	}
	return &refusal{fault}
}

// answerError is the error for an answer that cannot be used.
type answerError struct {
	path string // in the client's request; empty: the remote named no place
	text string
}

func (e *answerError) Error() string { return e.text }

// failedStatus returns the error for an answer with a status that is not a fault
// of the client.
func failedStatus(status int, f wire.Format, body []byte, place placer) error {
	e, err := parseError(f, body)
	if err != nil {
		return &answerError{text: fmt.Sprintf("it answered %d %s", status, http.StatusText(status))}
	}
	path, detail := place.locate(e.Detail)
	return &answerError{path, fmt.Sprintf("it answered %d: %d: %s", status, e.Code, detail)}
}

// parseError reads an error of a remote and shortens its texts.
func parseError(f wire.Format, body []byte) (*wire.ErrorAnswer, error) {
	e, err := wire.ParseError(f, body)
	if err == nil {
		e.Desc, e.Detail = matcher.ShortenTo(e.Desc, detailMax), matcher.ShortenTo(e.Detail, detailMax)
	}
	return e, err
}
