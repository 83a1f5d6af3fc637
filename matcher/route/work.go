package route

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"nearside/matcher"
)

// work has the sub-requests of one request while matchers answer them.
type work struct {
	*Router
	kind     matcher.MatchKind
	loading  time.Duration // of the descriptors of the references
	matchers []matcher.Matcher
	subs     []matcher.SubRequest
	choices  []choice         // by sub-request
	results  []matcher.Result // by sub-request
}

// askAll sets the result of every sub-request. It asks the chosen matchers
// concurrently, then the next matchers for the sub-requests that failed. It ends
// when every sub-request has an answer or an error that no other matcher can avoid.
func (w *work) askAll(ctx context.Context) {
	pending := make([]int, len(w.subs))
	for i := range pending {
		pending[i] = i
	}
	for len(pending) > 0 {
		byMatcher := make([][]int, len(w.matchers))
		for _, i := range pending {
			m := w.choices[i].matcher()
			byMatcher[m] = append(byMatcher[m], i)
		}
		var calls sync.WaitGroup
		for m, indexes := range byMatcher {
			switch {
			case indexes == nil:
			case len(indexes) == len(pending): // the usual case
				w.askMatcher(ctx, m, indexes)
			default:
				calls.Go(func() { w.askMatcher(ctx, m, indexes) })
			}
		}
		calls.Wait()
		pending = w.nextPending(ctx, pending)
	}
}

// nextPending returns the sub-requests of asked that another matcher may answer, and
// sets the reasons of the others.
func (w *work) nextPending(ctx context.Context, asked []int) []int {
	var pending []int
	for _, i := range asked {
		c, err := &w.choices[i], w.results[i].Err
		if err == nil || c.isLast() || ctx.Err() != nil || !isMatcherFault(err) {
			c.setReasons()
			continue
		}
		c.tryNext(err, w.subs[i].Account)
		pending = append(pending, i)
	}
	return pending
}

// isMatcherFault reports whether the matcher is the cause of err, not the request. Then
// another matcher may succeed.
func isMatcherFault(err error) bool {
	switch matcher.CodeOf(err) {
	case matcher.CodeInternal, matcher.CodeUnavailable, matcher.CodeDeadline, matcher.CodeNoMatcher:
		return true
	}
	return false
}

// askMatcher lets matcher m answer the sub-requests with these indexes in one call.
func (w *work) askMatcher(ctx context.Context, m int, indexes []int) {
	start := time.Now()
	batch := make([]matcher.SubRequest, len(indexes))
	hasNext := m > 0 // the local matcher stops in time by itself
	for i, n := range indexes {
		batch[i] = w.subs[n]
		hasNext = hasNext && !w.choices[n].isLast()
	}
	if hasNext {
		var cancel context.CancelFunc
		ctx, cancel = halfTime(ctx)
		defer cancel()
	}
	point := matcher.MatchPoint{
		Time: start, Kind: w.kind, Matcher: w.matchers[m].Name(), Origin: batch[0].Candidates.Origin, RequestID: batch[0].RequestID,
		Subs: len(indexes), ListRows: -1, Loading: w.loading, Cause: matcher.CauseOf(ctx),
	}
	w.calls.addCalls(point.Matcher, 1)
	defer w.calls.addCalls(point.Matcher, -1)
	for i, result := range callMatcher(ctx, w.matchers[m], batch) {
		if m > 0 && result.Err == nil {
			completeRows(&result, &batch[i])
		}
		w.results[indexes[i]] = result
		point.Rows += result.Scan.RowsScanned
		if withinList(&batch[i].Candidates.Filter) {
			point.ListRows = max(point.ListRows, result.Scan.RowsScanned)
		}
		point.Matches += len(result.Matches)
		if point.Err == nil {
			point.Err = result.Err
		}
	}
	point.Duration = time.Since(start)
	if w.options.Observer != nil {
		w.options.Observer.Matched(point)
	}
}

// withinList reports whether a filter names exactly one list.
func withinList(f *matcher.Filter) bool {
	return f.ListID != nil && f.Lists == nil || f.ListID == nil && len(f.Lists) == 1
}

// halfTime limits ctx to half of its remaining time. The rest is for the next
// matcher.
func halfTime(ctx context.Context) (context.Context, context.CancelFunc) {
	until, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(until)/2)
}

// callMatcher returns one result for each sub-request of batch, even if m panics
// or returns a wrong number of results.
func callMatcher(ctx context.Context, m matcher.Matcher, batch []matcher.SubRequest) (results []matcher.Result) {
	all := func(err error) []matcher.Result { return slices.Repeat([]matcher.Result{{Err: err}}, len(batch)) }
	defer func() {
		if p := recover(); p != nil {
			results = all(fmt.Errorf("matcher %s: panic: %v\n%s", m.Name(), p, debug.Stack()))
		}
	}()
	results = m.Match(ctx, batch)
	if len(results) != len(batch) { // it must not look like an empty answer
		return all(matcher.Errorf(matcher.CodeInternal, "matcher %s returned %d results for %d sub-requests", m.Name(), len(results), len(batch)))
	}
	for i := range results {
		if errors.Is(results[i].Err, context.DeadlineExceeded) {
			results[i].Err = matcher.Errorf(matcher.CodeDeadline, "matcher %s: %w", m.Name(), results[i].Err)
		}
	}
	return results
}

// completeRows completes the rows of a plugin or a remote. It fills in missing
// objects, drops rows whose object was deleted, and restores the order, the groups and
// the limit.
func completeRows(result *matcher.Result, sub *matcher.SubRequest) {
	c, rows := sub.Candidates, result.Matches[:0:0]
	for _, row := range result.Matches {
		if row.Object == nil {
			obj, ok := sub.Moment.Get(c.Origin, row.ID, sub.Account, false)
			if !ok {
				continue // deleted meanwhile
			}
			row.Object, row.CreateTime = &obj, obj.CreateTime
		}
		rows = append(rows, row)
	}
	result.Matches = c.Arrange(sub.Reference, rows)
}
