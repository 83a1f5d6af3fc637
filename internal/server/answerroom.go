package server

import (
	"context"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of the memory of the answers of all requests together. What one
// request may have is bounded by its limits.
const (
	rowBytes  = 640 // of a row of an answer: the match, its object, its text
	pairBytes = 200 // of a pair of a raw match
	// largeAnswer is the size from which on answers have a budget of their own,
	// so that clients that read large answers slowly do not delay small ones.
	largeAnswer = 1 << 20
	answersSize = 64 << 20 // bytes of each of the two budgets
	answerMax   = rowsMax*rowBytes + echoMax
)

// answerBudgets bound the bytes of answers that are made or sent at once.
type answerBudgets struct{ small, large *budget }

func newAnswerBudgets() *answerBudgets {
	return &answerBudgets{
		small: newBudget("answers", answersSize, largeAnswer),
		large: newBudget("answers", answersSize, answerMax),
	}
}

// reserve waits until there is room for an answer of at most about that many
// bytes. When the answer is made, send keeps what it needs in fact. The room is
// given back when the answer is sent.
func (x *exchange) reserve(ctx context.Context, bytes int) error {
	if bytes <= freeBytes {
		return nil
	}
	of := x.answers.small
	if bytes > largeAnswer {
		of = x.answers.large
	}
	x.conn.answer = of.claim(x.conn.askWriter)
	x.conn.answer.asks = 4
	if err := x.conn.answer.grow(ctx, int64(bytes)); err != nil {
		return err
	}
	x.conn.answer.suspend() // until the client is to read it
	return nil
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
