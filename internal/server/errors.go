package server

import (
	"context"
	"errors"
	"net/http"

	"nearside/matcher"
)

// fault is the HTTP status and the fixed text of an error code.
type fault struct {
	status int
	desc   string
}

// faults is the error table of docs/api.md 1.
var faults = map[matcher.Code]fault{
	matcher.CodeInternal:        {http.StatusInternalServerError, "Internal server error"},
	matcher.CodeSyntax:          {http.StatusBadRequest, "Body cannot be parsed"},
	matcher.CodeNoRoute:         {http.StatusNotFound, "Resource not found"},
	matcher.CodeMethod:          {http.StatusMethodNotAllowed, "Method not allowed"},
	matcher.CodeBadInput:        {http.StatusBadRequest, "Bad input"},
	matcher.CodeUnauthorized:    {http.StatusUnauthorized, "No key or a wrong key"},
	matcher.CodeForbidden:       {http.StatusForbidden, "Forbidden"},
	matcher.CodeMediaType:       {http.StatusUnsupportedMediaType, "Content type of the request is not supported"},
	matcher.CodeNotAcceptable:   {http.StatusNotAcceptable, "Content type of the answer is not supported"},
	matcher.CodeTooLarge:        {http.StatusRequestEntityTooLarge, "Body or line is too large"},
	matcher.CodeTooSlow:         {http.StatusRequestTimeout, "Request body arrives too slowly"},
	matcher.CodeUnknownVersion:  {http.StatusBadRequest, "Descriptor version is not registered"},
	matcher.CodeUnavailable:     {http.StatusServiceUnavailable, "Service is unavailable"},
	matcher.CodePlugins:         {http.StatusConflict, "Plugins were not reloaded"},
	matcher.CodeFull:            {http.StatusInsufficientStorage, "Disk or memory limit reached"},
	matcher.CodeBusy:            {http.StatusTooManyRequests, "Rate or concurrency of the key is exceeded"},
	matcher.CodeTaskExists:      {http.StatusConflict, "A task is running, or the name exists"},
	matcher.CodeTaskNotFound:    {http.StatusNotFound, "Task or snapshot not found"},
	matcher.CodeRejected:        {http.StatusForbidden, "A plugin rejected the request"}, // or the plugin's status
	matcher.CodeDeadline:        {http.StatusGatewayTimeout, "Deadline of the request passed"},
	matcher.CodeListExists:      {http.StatusConflict, "List exists"},
	matcher.CodeListNotFound:    {http.StatusNotFound, "List not found"},
	matcher.CodeFaceExists:      {http.StatusConflict, "Face exists"},
	matcher.CodeFaceNotFound:    {http.StatusNotFound, "Face not found"},
	matcher.CodeAttrNotFound:    {http.StatusNotFound, "Attribute not found"},
	matcher.CodeEventExists:     {http.StatusConflict, "Event exists"},
	matcher.CodeEventNotFound:   {http.StatusNotFound, "Event not found"},
	matcher.CodeNoDescriptor:    {http.StatusBadRequest, "Object has no descriptor of the needed type"},
	matcher.CodeAccountConflict: {http.StatusBadRequest, "Account of the query contradicts the request"},
	matcher.CodeWrongVersion:    {http.StatusBadRequest, "Reference has another version or type than the match"},
	matcher.CodeCrossLimit:      {http.StatusBadRequest, "Cross match selects too many objects"},
	matcher.CodeMixedVersions:   {http.StatusBadRequest, "Matching between different descriptor versions"},
	matcher.CodeTooMany:         {http.StatusBadRequest, "Too many items"},
	matcher.CodeNoMatcher:       {http.StatusForbidden, "No matcher can do this request"},
}

var errShuttingDown = matcher.Errorf(matcher.CodeUnavailable, "the server is shutting down")

// asError returns err as a *matcher.Error. Other errors are the end of the request
// or an internal error.
func asError(err error) *matcher.Error {
	var e *matcher.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed before it was answered")
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled): // Shutdown has ended the request
		return errShuttingDown
	default:
		return matcher.Errorf(matcher.CodeInternal, "%w", err)
	}
}

// StatusOf returns the HTTP status of an error.
func StatusOf(err error) int {
	status, _, _, _ := errorFields(asError(err), "")
	return status
}
