package server

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of the memory of all requests together. What one request may have is
// bounded by its limits.
const (
	// bodiesAtOnce is how many of the largest bodies are held at once, or more
	// smaller ones. What is decoded of a body takes a few times its size.
	bodiesAtOnce = 4
	// answersMax is the bytes of answers that are made or sent at once: one of
	// the largest, or more smaller ones.
	answersMax = rowsMax*rowBytes + echoMax
	rowBytes   = 640 // of a row of an answer: the match, its object, its text
	pairBytes  = 200 // of a pair of a raw match
	// ticketMin is the bytes from which on a body or an answer is counted.
	// Smaller ones never wait behind large ones; the bound of connections is
	// theirs.
	ticketMin = 64 << 10
)

// budget bounds bytes of one kind that are held at once. Who waits for some
// gets them by order of arrival, so that large requests have their turn too.
//
// A request takes from a budget once, and from that of bodies before that of
// answers, so that none waits for what only another one that waits can give.
type budget struct {
	kind string
	size int64
	*semaphore.Weighted
}

func newBudget(kind string, size int64) *budget {
	return &budget{kind, size, semaphore.NewWeighted(size)}
}

// take waits for n bytes, at most all there are, and returns how many Release
// must give back.
func (b *budget) take(ctx context.Context, n int64) (int64, error) {
	if n <= ticketMin {
		return 0, nil
	}
	n = min(n, b.size)
	err := b.Acquire(ctx, n)
	if errors.Is(err, context.DeadlineExceeded) {
		err = matcher.Overloaded(0, "memory: no room for %d bytes of %s came in time, all requests together have %d", n, b.kind, b.size)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// reserve waits until there is room for an answer of about that many bytes. It
// is given back when the answer was sent.
func (x *exchange) reserve(ctx context.Context, bytes int) error {
	n, err := x.answers.take(ctx, int64(bytes))
	if n > 0 {
		x.conn.sent = func() { x.answers.Release(n) }
	}
	return err
}

// matchBytes is how large the answer of a match may become, about.
func (x *exchange) matchBytes(req *wire.MatchRequest) int {
	rows, echo := 0, 0
	for _, c := range req.Candidates {
		rows += c.Limit
		echo += c.Filters.Size() + c.Label.Size()
	}
	references := len(req.References)
	if tooMuch(references, rows, echo) {
		return 0
	}
	for _, r := range req.References {
		if r.Type == matcher.RefFaceExternalID || r.Type == matcher.RefEventExternalID || r.Type == matcher.RefEventTrackID {
			references = x.limits.Decoder.Limits.References // it stands for any number of objects
			break
		}
	}
	return references * (rows*rowBytes + echo)
}

// tooMuch reports whether an answer is refused for its size. It needs no room
// then, and others are not to wait behind it.
func tooMuch(references, rows, echo int) bool {
	references = max(references, 1)
	return rows > rowsMax/references || echo > echoMax/references
}

// reserveCross reserves room for the answer of a cross match, by the objects
// that are its references. How many a remote has is not known here.
func (x *exchange) reserveCross(ctx context.Context, req *wire.CrossRequest) error {
	rows, echo := req.Candidates.Limit, req.Candidates.Filters.Size()
	switch owners, err := x.server.Store.Owners().Of(req.References.Origin, &req.References.Filter); {
	case err != nil:
		return nil // the router says it
	case len(owners) > 0:
		return x.reserve(ctx, x.limits.CrossMatch*(rows*rowBytes+echo))
	}
	selected, err := x.server.Memory.Select(ctx, &req.References, x.account)
	if err != nil {
		return err
	}
	references := selected.Len()
	if references > x.limits.CrossMatch || tooMuch(references, rows, echo) {
		return nil
	}
	return x.reserve(ctx, references*(rows*rowBytes+echo))
}
