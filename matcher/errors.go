package matcher

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is a kind of error. Its value is the error_code that clients see
// (docs/api.md, Errors). internal/server maps codes to HTTP statuses.
type Code int

// The kinds of errors.
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
	CodeBusy            Code = 12053
	CodeTaskExists      Code = 12054
	CodeTaskNotFound    Code = 12055
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

// Error is an error that a client receives: its kind, and a detail that names
// the place in the request and the wrong value.
type Error struct {
	Code   Code
	Detail string
	// RetryAfter is the time until a retry may succeed; 0: unknown.
	RetryAfter time.Duration
	// Status is the HTTP status of CodeRejected, 400 to 499; 0 for other codes.
	Status int
	// Methods are the methods that the resource allows, in an error of CodeMethod.
	Methods []string
	// Masked replaces Detail in answers to requests of an account. It is set if
	// Detail reveals something about other accounts, such as how much they store or
	// what they wait for.
	Masked string
	// Path is a place in the client's request, and Detail begins with it. Locate sets
	// both, and At then leaves Detail unchanged. If Path is empty, a caller may still
	// add the place.
	Path string
	err  error
}

// Rejected makes an Error of CodeRejected: a plugin's decision about a request.
// status is 400 to 499. The detail is the plugin's own text and gets no path.
func Rejected(status int, detail string) *Error {
	return &Error{Code: CodeRejected, Detail: detail, Status: status}
}

// Errorf makes an Error; %w keeps a cause for errors.Is and errors.As. If the
// cause is an Error, the new one takes over its RetryAfter. If the cause also has a
// Masked text, the new Masked is the new detail with that text in place of the
// cause's detail.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: code, Detail: err.Error(), err: errors.Unwrap(err)}
	if cause, ok := errors.AsType[*Error](e.err); ok {
		e.RetryAfter = cause.RetryAfter
		if cause.Masked != "" {
			e.Masked = strings.Replace(e.Detail, cause.Detail, cause.Masked, 1)
		}
	}
	return e
}

// ErrAccountChange is the cause of the error of AccountChange.
var ErrAccountChange = errors.New("cannot be changed")

// AccountChange makes the error of a request that changes the account of an object or a list.
func AccountChange(from, to ID) *Error {
	return Errorf(CodeBadInput, "account_id: %s %w to %s", AccountText(from), ErrAccountChange, to)
}

// MethodNotAllowed makes an Error of CodeMethod. methods are those that the
// resource allows.
func MethodNotAllowed(methods []string, format string, args ...any) *Error {
	e := Errorf(CodeMethod, format, args...)
	e.Methods = methods
	return e
}

// Overloaded makes an Error of CodeUnavailable that says when to try again.
func Overloaded(retryAfter time.Duration, format string, args ...any) *Error {
	e := Errorf(CodeUnavailable, format, args...)
	e.RetryAfter = retryAfter
	return e
}

// Mask sets the text that requests of an account see in place of the detail of
// e, and returns e.
func (e *Error) Mask(detail string) *Error {
	e.Masked = detail
	return e
}

// Locate puts path, a place in the client's request, before the detail of e, and
// returns e.
func (e *Error) Locate(path string) *Error {
	e.Path, e.Detail = path, path+": "+e.Detail
	if e.Masked != "" {
		e.Masked = path + ": " + e.Masked
	}
	return e
}

func (e *Error) Error() string { return e.Detail }

func (e *Error) Unwrap() error { return e.err }

// At returns err with path before its detail: At("candidates[1]", err) turns
// "limit: must be ..." into "candidates[1].limit: must be ...". It returns err
// unchanged if it is not an *Error, is a rejection, or already has a Path.
func At(path string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code == CodeRejected || e.Path != "" {
		return err
	}
	at := &Error{Code: e.Code, Detail: path + "." + e.Detail, RetryAfter: e.RetryAfter, Methods: e.Methods, err: e.err}
	if e.Masked != "" {
		at.Masked = path + "." + e.Masked
	}
	return at
}

// For returns the form of e that a request of account may see; account is nil
// for requests that may see everything.
func (e *Error) For(account *ID) *Error {
	if account == nil || e.Masked == "" {
		return e
	}
	masked := *e
	masked.Detail, masked.RetryAfter = e.Masked, 0
	return &masked
}

// CodeOf returns the kind of err, or CodeInternal if err is not an *Error.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
