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

// Matched implements [matcher.Observer]. A raw match has only one matcher, so the client sees
// its error.
func (l matchLog) Matched(p matcher.MatchPoint) {
	if p.Kind != matcher.MatchRaw && p.Err != nil && matcher.CodeOf(p.Err) == matcher.CodeInternal && !errors.Is(p.Err, context.Canceled) {
		l.log.Error("matcher failed", "matcher", p.Matcher, "request_id", p.RequestID, "error", p.Err)
	}
}

// Stored implements [matcher.Observer].
func (matchLog) Stored(*matcher.Object) {}
