package remote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of one call and of one request.
const (
	referencesPerCall = 250     // below the usual limit of 1000
	setsPerCall       = 100     // the usual limit
	rowsPerCall       = 100_000 // of an answer in which every limit is reached, with the rows that offsets skip
	callsPerRequest   = 8       // in progress at once
)

// batch has the sub-requests that one call answers: each reference against each
// set.
type batch struct {
	references []*matcher.Reference
	sets       []*matcher.Candidates
	subs       []int // indexes of sub-requests, by reference, by set
}

// Match implements [matcher.Matcher].
func (r *Remote) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	slots := make(chan struct{}, callsPerRequest)
	var calls sync.WaitGroup
	all := batches(subs)
	for n, b := range all {
		slots <- struct{}{}
		ask := func() {
			defer func() { <-slots }()
			if err := r.match(ctx, subs, b, results); err != nil {
				for _, i := range b.subs {
					results[i] = matcher.Result{Err: err}
				}
			}
		}
		if n == len(all)-1 { // usually the only one: another goroutine would only add time
			ask()
		} else {
			calls.Go(ask)
		}
	}
	calls.Wait()
	return results
}

// batches divides sub-requests into calls. Sets with the same references are in the
// same call.
func batches(subs []matcher.SubRequest) []batch {
	type column struct { // the sub-requests of one set
		set        *matcher.Candidates
		references []*matcher.Reference
		subs       []int
	}
	var columns []*column
	bySet := map[*matcher.Candidates]*column{}
	for i := range subs {
		c := bySet[subs[i].Candidates]
		if c == nil {
			c = &column{set: subs[i].Candidates}
			bySet[c.set] = c
			columns = append(columns, c)
		}
		c.references = append(c.references, subs[i].Reference)
		c.subs = append(c.subs, i)
	}
	var all []batch
	for len(columns) > 0 {
		first := columns[0]
		var together, later []*column
		rows := 0
		for _, c := range columns {
			fits := c == first || rows+c.set.RowsMax() <= rowsPerCall && len(together) < setsPerCall
			if fits && slices.Equal(c.references, first.references) {
				together = append(together, c)
				rows += c.set.RowsMax()
			} else {
				later = append(later, c)
			}
		}
		columns = later
		size := min(referencesPerCall, max(1, rowsPerCall/rows))
		for lo, hi := 0, 0; lo < len(first.references); lo = hi {
			hi = callEnd(first.references, lo, size)
			b := batch{references: first.references[lo:hi]}
			for _, c := range together {
				b.sets = append(b.sets, c.set)
			}
			for i := lo; i < hi; i++ {
				for _, c := range together {
					b.subs = append(b.subs, c.subs[i])
				}
			}
			all = append(all, b)
		}
	}
	return all
}

// callEnd returns the end of the references from lo on that together count for at most size
// references. There is at least one.
func callEnd(references []*matcher.Reference, lo, size int) (hi int) {
	for hi, size = lo+1, size-references[lo].Count(); hi < len(references) && size >= references[hi].Count(); hi++ {
		size -= references[hi].Count()
	}
	return hi
}

// match makes one call and sets the results of its sub-requests. It may run in a
// goroutine of its own, so it must recover from panics itself.
func (r *Remote) match(ctx context.Context, subs []matcher.SubRequest, b batch, results []matcher.Result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = matcher.Errorf(matcher.CodeInternal, "remote %s: panic: %v\n%s", r.config.Name, p, debug.Stack())
		}
	}()
	first := &subs[b.subs[0]]
	rows := 0
	for _, set := range b.sets {
		rows += set.AnswerMax()
	}
	references := make([]matcher.Reference, len(b.references))
	for i, ref := range b.references {
		references[i] = *ref
	}
	return r.makeCall(ctx, &call{
		method: "POST", path: "/1/matcher/" + plural(first.Version.Type), query: query(first.Account, first.Explain), requestID: first.RequestID, objects: rows * len(references),
		place: b.matchPlacer(subs),
		body:  wire.AppendMatchRequest(nil, wire.MessagePack, references, b.sets, checkTargets(first.Account)...),
		read: func(f wire.Format, body []byte) error {
			answer, err := wire.ParseAnswer(f, body)
			if err != nil {
				return err
			}
			if len(answer) != len(references) {
				return fmt.Errorf("it must have %d references, got %d", len(references), len(answer))
			}
			for i, item := range answer {
				if len(item.Matches) != len(b.sets) {
					return fmt.Errorf("a reference must have %d items of matches, got %d", len(b.sets), len(item.Matches))
				}
				for j, set := range b.sets {
					if results[b.subs[i*len(b.sets)+j]], err = resultOf(set, first.Account, &item.Matches[j]); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
}

// plural returns the last part of the path of a match.
func plural(t matcher.DescriptorType) string {
	if t == matcher.BodyDescriptor {
		return "bodies"
	}
	return "faces"
}

func query(account *matcher.ID, explain bool) url.Values {
	q := url.Values{}
	if account != nil {
		q.Set("account_id", account.String())
	}
	if explain {
		q.Set("explain", "1")
	}
	return q
}

// checkTargets returns the targets that checking the rows needs, in addition to
// those of the client.
func checkTargets(account *matcher.ID) []string {
	if account == nil {
		return nil
	}
	return []string{"account_id"}
}

// resultOf checks the rows of a set and returns them as a result.
func resultOf(set *matcher.Candidates, account *matcher.ID, answer *wire.AnswerSet) (matcher.Result, error) {
	var empty matcher.Result
	if len(answer.Rows) > set.AnswerMax() {
		return empty, fmt.Errorf("a set must have at most %d rows, got %d", set.AnswerMax(), len(answer.Rows))
	}
	if set.Count && !answer.HasCount {
		return empty, errors.New("a set has no count")
	}
	rows := make([]matcher.Match, len(answer.Rows))
	seen := make(map[matcher.ID]bool, len(rows))
	for i := range answer.Rows {
		row := &answer.Rows[i]
		switch {
		case row.Object.Origin != set.Origin || row.Object.ID.IsZero():
			return empty, errors.New("a row has no object of the requested origin")
		case account != nil && row.Object.Account != *account:
			return empty, errors.New("a row belongs to another account")
		case seen[row.Object.ID]: // another object is missing in its place
			return empty, errors.New("an object is given twice")
		case !row.HasSimilarity || !row.HasDistance || math.IsNaN(row.Distance) || row.Similarity < set.Threshold:
			return empty, errors.New("a row has no similarity or distance, or is below the threshold")
		case set.Group != nil && row.Group != set.Group.GroupOf(&row.Object):
			return empty, errors.New("a row is in another group than its object")
		}
		seen[row.Object.ID] = true
		rows[i] = matcher.Match{
			ID: row.Object.ID, CreateTime: row.Object.CreateTime, Distance: row.Distance, Similarity: row.Similarity, Object: &row.Object, Group: row.Group,
		}
	}
	return matcher.Result{Matches: rows, Count: answer.Count, Scan: scanOf(answer.Plan)}, nil
}

// scanOf returns the work of the remote according to its plan.
func scanOf(p *wire.Plan) matcher.Scan {
	if p == nil {
		return matcher.Scan{}
	}
	return matcher.Scan{
		RowsSelected: p.RowsSelected, RowsOtherVersion: p.RowsOtherVersion, RowsScanned: p.RowsScanned,
		Kernel: p.Kernel, SharedWith: p.SharedWith, Steps: p.Steps, Duration: duration(p.Milliseconds),
	}
}

// duration converts a time of a plan.
func duration(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}
