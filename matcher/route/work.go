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

// work is the sub-requests of one request on their way to the matchers.
type work struct {
	*Router
	matchers []matcher.Matcher
	subs     []matcher.SubRequest
	choices  []choice         // by sub-request
	results  []matcher.Result // by sub-request
}

// run gets every sub-request a result: it asks the matchers that were chosen,
// all at once, then the next ones for what failed, until all have an answer,
// an error that is the client's own, or nobody left to ask.
func (w *work) run(ctx context.Context) {
	open := make([]int, len(w.subs))
	for i := range open {
		open[i] = i
	}
	for len(open) > 0 {
		byMatcher := make([][]int, len(w.matchers))
		for _, i := range open {
			m := w.choices[i].matcher()
			byMatcher[m] = append(byMatcher[m], i)
		}
		var asked sync.WaitGroup
		for m, mine := range byMatcher {
			switch {
			case mine == nil:
			case len(mine) == len(open): // the usual case
				w.ask(ctx, m, mine)
			default:
				asked.Go(func() { w.ask(ctx, m, mine) })
			}
		}
		asked.Wait()
		open = w.failed(ctx, open)
	}
}

// failed returns those of asked that another matcher may answer, and settles
// the others.
func (w *work) failed(ctx context.Context, asked []int) []int {
	var open []int
	for _, i := range asked {
		c, err := &w.choices[i], w.results[i].Err
		if err == nil || c.last() || ctx.Err() != nil || !fallible(err) {
			c.settle()
			continue
		}
		c.next(err)
		open = append(open, i)
	}
	return open
}

// fallible reports whether err says something about the matcher, not about
// the request: another one may do better.
func fallible(err error) bool {
	switch matcher.CodeOf(err) {
	case matcher.CodeInternal, matcher.CodeUnavailable, matcher.CodeDeadline, matcher.CodeNoMatcher:
		return true
	}
	return false
}

// ask lets matcher m answer its sub-requests together.
func (w *work) ask(ctx context.Context, m int, mine []int) {
	start := time.Now()
	batch := make([]matcher.SubRequest, len(mine))
	spare := m > 0 // Local keeps its deadlines
	for i, n := range mine {
		batch[i] = w.subs[n]
		spare = spare && !w.choices[n].last()
	}
	if spare {
		var cancel context.CancelFunc
		ctx, cancel = half(ctx)
		defer cancel()
	}
	point := matcher.MatchPoint{
		Time: start, Matcher: w.matchers[m].Name(), Origin: batch[0].Candidates.Origin, RequestID: batch[0].RequestID, Subs: len(mine),
	}
	w.busy.add(point.Matcher, 1)
	defer w.busy.add(point.Matcher, -1)
	for i, result := range answers(ctx, w.matchers[m], batch) {
		if m > 0 && result.Err == nil {
			w.complete(&result, batch[i].Candidates, batch[i].Account)
		}
		w.results[mine[i]] = result
		point.Rows += result.Scan.RowsScanned
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

// half leaves half of the time to whoever is asked next.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	until, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(until)/2)
}

// answers returns what m makes of batch: whatever it does, as many results.
func answers(ctx context.Context, m matcher.Matcher, batch []matcher.SubRequest) (results []matcher.Result) {
	all := func(err error) []matcher.Result { return slices.Repeat([]matcher.Result{{Err: err}}, len(batch)) }
	defer func() {
		if p := recover(); p != nil {
			results = all(fmt.Errorf("matcher %s: panic: %v\n%s", m.Name(), p, debug.Stack()))
		}
	}()
	results = m.Match(ctx, batch)
	if len(results) != len(batch) { // nobody takes that for an empty answer
		return all(matcher.Errorf(matcher.CodeInternal, "matcher %s gave %d results for %d sub-requests", m.Name(), len(results), len(batch)))
	}
	for i := range results {
		if errors.Is(results[i].Err, context.DeadlineExceeded) {
			results[i].Err = matcher.Errorf(matcher.CodeDeadline, "matcher %s: %w", m.Name(), results[i].Err)
		}
	}
	return results
}

// complete makes whole rows of those that a plugin or a remote gave: it fills
// in objects, drops rows of objects that are gone, restores the order and the
// limit.
func (r *Router) complete(result *matcher.Result, c *matcher.Candidates, account *matcher.ID) {
	rows := result.Matches[:0:0]
	for _, row := range result.Matches {
		if row.Object == nil {
			obj, ok := r.options.Objects.Get(c.Origin, row.ID, account, false)
			if !ok {
				continue // deleted since
			}
			row.Object, row.CreateTime = &obj, obj.CreateTime
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b matcher.Match) int { return c.Order.Compare(&a, &b) })
	result.Matches = rows[:min(len(rows), c.Limit)]
}
