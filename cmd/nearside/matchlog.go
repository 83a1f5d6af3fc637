package main

import (
	"context"
	"errors"
	"log/slog"

	"nearside/matcher"
)

// matchLog logs internal errors of matchers. The client does not see them if another
// matcher then answers.
type matchLog struct{ log *slog.Logger }

// Requested implements [matcher.Observer].
func (matchLog) Requested(matcher.RequestPoint) {}

// Matched implements [matcher.Observer]. The server logs the error of a raw match with its
// request, because no other matcher can answer.
func (l matchLog) Matched(p matcher.MatchPoint) {
	if p.Kind != matcher.MatchRaw && p.Err != nil && matcher.CodeOf(p.Err) == matcher.CodeInternal && !errors.Is(p.Err, context.Canceled) {
		l.log.Error("matcher failed", "matcher", p.Matcher, "request_id", p.RequestID, "error", p.Err)
	}
}

// Stored implements [matcher.Observer].
func (matchLog) Stored(*matcher.Object) {}
