package server

import (
	"context"
	"sync"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of the memory of answers of all requests together.
const (
	rowBytes  = 640 // estimate for a row of an answer: the match, its object, its text
	pairBytes = 200 // estimate for a pair of a raw match
	skipBytes = 160 // estimate for a row or a group that an offset skips
	// lineRowBytes is an estimate for a row of an answer in lines: its match without the
	// object, and the number of the stored row.
	lineRowBytes = 80
	// largeAnswer is the size above which answers use a budget of their own. So
	// clients that read large answers slowly do not delay small answers.
	largeAnswer = 1 << 20
	answersSize = 48 << 20 // bytes of each of the two budgets
	answerMax   = rowsMax*rowBytes + echoMax
)

// answerBudgets bound the bytes of answers that are being built or sent.
type answerBudgets struct{ small, large *budget }

func newAnswerBudgets() *answerBudgets {
	return &answerBudgets{
		small: newBudget("answers", answersSize, largeAnswer),
		large: newBudget("answers", answersSize, answerMax),
	}
}

// reserve waits until there is room for an answer of about that many bytes. send
// gives back the bytes that the answer does not need. The others are given back when
// the answer has been sent.
func (x *exchange) reserve(ctx context.Context, bytes int) error {
	if bytes <= freeBytes {
		return nil
	}
	b := x.answers.small
	if bytes > largeAnswer {
		b = x.answers.large
	}
	x.conn.answer = b.newClaim(x.conn.askWriter)
	x.conn.answer.slowCalls = 4 // askWriter only asks for a check, so it is called more often
	if err := x.conn.answer.grow(ctx, int64(bytes)); err != nil {
		return err
	}
	x.conn.answer.suspend() // until the client can read the answer
	return nil
}

// reserveUpTo reserves more room, so that there is room for an answer of about that many
// bytes.
func (x *exchange) reserveUpTo(ctx context.Context, bytes int) error {
	more := int64(bytes)
	if x.conn.answer != nil {
		more -= x.conn.answer.held
	}
	if more <= 0 {
		return nil
	}
	return x.reserveMore(ctx, more)
}

// Bounds of the texts and descriptors of objects in an answer.
const (
	textsMax = 64 << 20 // bytes in one answer
	// textFactor is the memory per byte of text while the answer is built: a copy of
	// the object, and the answer, which is copied when it grows.
	textFactor = 3
	// numberFactor is the same for descriptors as numbers: a byte of a descriptor needs up
	// to four characters in JSON.
	numberFactor = 8
)

// answerRoom reserves memory for an answer while it is built. It is safe for
// concurrent use.
type answerRoom struct {
	x       *exchange
	refuse  func() error // returns an error while the process has too little memory; may be nil
	workers workers      // the caller is one of these workers, except while it waits; may be nil
	numbers bool         // the answer has descriptors as numbers

	mu    sync.Mutex
	texts int // bytes so far
}

// withTexts returns a context that reserves memory for the texts of the answer and
// bounds them. refuse may be nil.
func (x *exchange) withTexts(ctx context.Context, refuse func() error) context.Context {
	return x.withRoom(ctx, &answerRoom{x: x, refuse: refuse})
}

func (x *exchange) withRoom(ctx context.Context, room *answerRoom) context.Context {
	return matcher.WithTextRoom(ctx, func(bytes int) error { return room.addTexts(ctx, bytes) })
}

// addTexts reserves memory for more texts. The first freeBytes need no reservation.
func (r *answerRoom) addTexts(ctx context.Context, bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.texts
	if r.texts += bytes; r.texts > textsMax {
		return matcher.Errorf(matcher.CodeTooMany, "answer: the texts and descriptors of its objects have more than %d bytes; ask for fewer objects or fewer targets", textsMax)
	}
	factor := textFactor
	if r.numbers {
		factor = numberFactor
	}
	if r.texts*factor <= freeBytes {
		return nil
	}
	if r.refuse != nil {
		if err := r.refuse(); err != nil {
			return err
		}
	}
	if before*factor <= freeBytes {
		bytes = r.texts // including the bytes that needed no reservation
	}
	if r.workers != nil {
		r.workers.leave()
		defer r.workers.enter()
	}
	return r.x.reserveMore(ctx, int64(bytes*factor))
}

// reserveMore reserves more room for the answer.
func (x *exchange) reserveMore(ctx context.Context, bytes int64) error {
	c := x.conn.answer
	switch {
	case c == nil:
		return x.reserve(ctx, int(bytes))
	case c.budget == x.answers.small && c.held+bytes > largeAnswer:
		bytes += c.held
		c.shrink(0)
		return x.reserve(ctx, int(bytes))
	}
	return c.grow(ctx, bytes)
}

// matchBytes estimates the largest size of the answer of a match, in bytes. It returns
// 0 if the answer will be refused.
func (x *exchange) matchBytes(req *wire.MatchRequest) int {
	rows, skipped, echo := 0, 0, 0
	for _, c := range req.Candidates {
		rows += c.AnswerMax()
		skipped += c.Offset
		echo += c.Filters.Size() + c.Label.Size()
	}
	references := len(req.References)
	if answerTooLarge(references, rows+skipped, echo) {
		return 0
	}
	if x.outLines && x.options.Router.OnlyLocal(x.forwarded()) {
		return rows * lineRowBytes
	}
	for _, r := range req.References {
		if r.Type == matcher.RefFaceExternalID || r.Type == matcher.RefEventExternalID || r.Type == matcher.RefEventTrackID {
			references = x.limits.Decoder.Limits.References // an external ID or track ID can match any number of objects
			break
		}
	}
	return references * (rows*rowBytes + skipped*skipBytes + echo)
}

// answerTooLarge reports whether an answer will be refused because of its size. Such a
// request reserves no room, so that other requests do not wait for it.
func answerTooLarge(references, rows, echo int) bool {
	references = max(references, 1)
	return rows > rowsMax/references || echo > echoMax/references
}

// reserveCross reserves room for the answer of a cross match. It counts the local
// references. If a remote owns the references, their number is not known, and
// reserveCross assumes as many as the limit allows.
func (x *exchange) reserveCross(ctx context.Context, req *wire.CrossRequest) error {
	rows, echo := req.Candidates.Limit, req.Candidates.Filters.Size()
	switch owners, err := x.options.Store.Owners().Of(req.References.Origin, &req.References.Filter); {
	case err != nil:
		return nil // the router returns this error
	case len(owners) > 0:
		return x.reserveUpTo(ctx, x.limits.CrossMatch*(rows*rowBytes+echo))
	}
	selected, err := x.options.Memory.Select(ctx, &req.References, x.account)
	if err != nil {
		return err
	}
	references := 0
	for _, n := range selected.Versions(x.operation.matched) {
		references += n
	}
	if references > x.limits.CrossMatch || answerTooLarge(references, rows, echo) {
		return nil
	}
	return x.reserveUpTo(ctx, references*(rows*rowBytes+echo))
}
