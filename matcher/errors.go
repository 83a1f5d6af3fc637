package matcher

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of fault. Its value is the error_code that clients see
// (API.md 1); which HTTP status it has, only internal/server knows.
type Code int

// The kinds of fault.
const (
	CodeInternal        Code = 1
	CodeNoRoute         Code = 12010
	CodeMethod          Code = 12011
	CodeSyntax          Code = 12001
	CodeBadInput        Code = 12022
	CodeUnauthorized    Code = 12025
	CodeForbidden       Code = 12026
	CodeMediaType       Code = 12027
	CodeNotAcceptable   Code = 12028
	CodeTooLarge        Code = 12029
	CodeTooSlow         Code = 12030
	CodeUnknownVersion  Code = 12036
	CodeUnavailable     Code = 12050
	CodePlugins         Code = 12051
	CodeFull            Code = 12052
	CodeRejected        Code = 12057
	CodeDeadline        Code = 12060
	CodeListExists      Code = 22001
	CodeListNotFound    Code = 22002
	CodeFaceExists      Code = 22003
	CodeFaceNotFound    Code = 22004
	CodeAttrNotFound    Code = 22005
	CodeEventExists     Code = 22006
	CodeEventNotFound   Code = 22007
	CodeNoDescriptor    Code = 22008
	CodeAccountConflict Code = 31000
	CodeWrongVersion    Code = 31001
	CodeCrossLimit      Code = 31002
	CodeMixedVersions   Code = 31005
	CodeTooMany         Code = 31007
	CodeNoMatcher       Code = 31011
)

// Error is a fault that a client is told of: its kind, and a detail that
// names the place in the request and the value that was wrong.
type Error struct {
	Code   Code
	Detail string
	// RetryAfter is when the request may be answered, counted from now; 0: not
	// known.
	RetryAfter time.Duration
	// Status is the HTTP status of CodeRejected, 400 to 499; 0 for other codes.
	Status int
	err    error
}

// Rejected makes an Error of CodeRejected: a plugin's decision about a request.
// status is 400 to 499. The detail is the plugin's and gets no path.
func Rejected(status int, detail string) *Error {
	return &Error{Code: CodeRejected, Detail: detail, Status: status}
}

// Errorf makes an Error; %w keeps a cause for errors.Is and errors.As. A cause
// that says when to try again says it for the whole.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: code, Detail: err.Error(), err: errors.Unwrap(err)}
	if cause, ok := errors.AsType[*Error](e.err); ok {
		e.RetryAfter = cause.RetryAfter
	}
	return e
}

// Overloaded makes an Error of CodeUnavailable that says when to try again.
func Overloaded(retryAfter time.Duration, format string, args ...any) *Error {
	e := Errorf(CodeUnavailable, format, args...)
	e.RetryAfter = retryAfter
	return e
}

func (e *Error) Error() string { return e.Detail }

func (e *Error) Unwrap() error { return e.err }

// At returns err with path before its detail: At("candidates[1]", "limit: 0
// is not ...") is "candidates[1].limit: 0 is not ...". Errors that are no
// *Error, and rejections, are returned as they are.
func At(path string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code == CodeRejected {
		return err
	}
	return &Error{Code: e.Code, Detail: path + "." + e.Detail, RetryAfter: e.RetryAfter, err: e.err}
}

// CodeOf returns the kind of err: CodeInternal when it is no *Error.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
