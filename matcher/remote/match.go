package remote

import (
	"context"
	"errors"
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
	referencesPerCall = 250     // the least limit of references that is usual is 1000
	setsPerCall       = 100     // and the usual limit of candidate sets
	rowsPerCall       = 100_000 // of an answer, were every limit used up
	callsPerRequest   = 8       // at once
)

// batch is the sub-requests that one call answers: each reference against each
// set.
type batch struct {
	references []*matcher.Reference
	sets       []*matcher.Candidates
	subs       []int // by reference, by set
}

// Match implements [matcher.Matcher].
func (r *Remote) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	places := make(chan struct{}, callsPerRequest)
	var calls sync.WaitGroup
	for _, b := range batches(subs) {
		places <- struct{}{}
		calls.Go(func() {
			defer func() { <-places }()
			if err := r.match(ctx, subs, b, results); err != nil {
				for _, i := range b.subs {
					results[i] = matcher.Result{Err: err}
				}
			}
		})
	}
	calls.Wait()
	return results
}

// batches cuts sub-requests into calls: sets that are asked the same
// references go together.
func batches(subs []matcher.SubRequest) []batch {
	type column struct {
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
		var same, others []*column
		rows := 0
		for _, c := range columns {
			fits := c == first || rows+c.set.Limit <= rowsPerCall && len(same) < setsPerCall
			if fits && slices.Equal(c.references, first.references) {
				same = append(same, c)
				rows += c.set.Limit
			} else {
				others = append(others, c)
			}
		}
		columns = others
		size := min(referencesPerCall, max(1, rowsPerCall/rows))
		for lo := 0; lo < len(first.references); lo += size {
			hi := min(lo+size, len(first.references))
			b := batch{references: first.references[lo:hi]}
			for _, c := range same {
				b.sets = append(b.sets, c.set)
			}
			for i := lo; i < hi; i++ {
				for _, c := range same {
					b.subs = append(b.subs, c.subs[i])
				}
			}
			all = append(all, b)
		}
	}
	return all
}

// match makes one call. It runs in a goroutine of its own, where nobody else
// stops a panic over what a remote says.
func (r *Remote) match(ctx context.Context, subs []matcher.SubRequest, b batch, results []matcher.Result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = matcher.Errorf(matcher.CodeInternal, "remote %s: panic: %v\n%s", r.config.Name, p, debug.Stack())
		}
	}()
	first := &subs[b.subs[0]]
	rows := 0
	for _, set := range b.sets {
		rows += set.Limit
	}
	references := make([]matcher.Reference, len(b.references))
	for i, ref := range b.references {
		references[i] = *ref
	}
	return r.do(ctx, &call{
		method: "POST", path: "/1/matcher/" + plural(first.Version.Type), query: query(first.Account, first.Explain), requestID: first.RequestID, objects: rows * len(references),
		body: wire.AppendMatchRequest(nil, wire.MessagePack, references, b.sets, checked(first.Account)...),
		read: func(f wire.Format, body []byte) error {
			answer, err := wire.ParseAnswer(f, body)
			if err != nil {
				return err
			}
			if len(answer) != len(references) {
				return errors.New("it has another number of references than the request")
			}
			for i, item := range answer {
				if len(item.Matches) != len(b.sets) {
					return errors.New("it has another number of candidate sets than the request")
				}
				for j, set := range b.sets {
					if results[b.subs[i*len(b.sets)+j]], err = result(set, first.Account, &item.Matches[j]); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
}

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

// checked are the targets that rows are checked by, whatever the client wants.
func checked(account *matcher.ID) []string {
	if account == nil {
		return nil
	}
	return []string{"account_id"}
}

// result checks what a set gave.
func result(set *matcher.Candidates, account *matcher.ID, answer *wire.AnswerSet) (matcher.Result, error) {
	var none matcher.Result
	if len(answer.Rows) > set.Limit {
		return none, errors.New("it has more rows than the limit")
	}
	rows := make([]matcher.Match, len(answer.Rows))
	seen := make(map[matcher.ID]bool, len(rows))
	for i := range answer.Rows {
		row := &answer.Rows[i]
		switch {
		case row.Object.Origin != set.Origin || row.Object.ID.IsZero():
			return none, errors.New("a row is without its object")
		case account != nil && row.Object.Account != *account:
			return none, errors.New("a row is of another account")
		case seen[row.Object.ID]: // and another one is missing
			return none, errors.New("an object is there twice")
		case !row.HasSimilarity || !row.HasDistance || math.IsNaN(row.Distance) || row.Similarity < set.Threshold:
			return none, errors.New("a row is without its distance, or below the threshold")
		}
		seen[row.Object.ID] = true
		rows[i] = matcher.Match{
			ID: row.Object.ID, CreateTime: row.Object.CreateTime, Distance: row.Distance, Similarity: row.Similarity, Object: &row.Object,
		}
	}
	return matcher.Result{Matches: rows, Scan: scan(answer.Plan)}, nil
}

// scan tells what a plan says of the work at the remote.
func scan(p *wire.Plan) matcher.Scan {
	if p == nil {
		return matcher.Scan{}
	}
	return matcher.Scan{
		RowsSelected: p.RowsSelected, RowsOtherVersion: p.RowsOtherVersion, RowsScanned: p.RowsScanned,
		Kernel: p.Kernel, SharedWith: p.SharedWith, Duration: duration(p.Milliseconds),
	}
}

// duration returns a time of a plan.
func duration(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}
