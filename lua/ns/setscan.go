package ns

import (
	"context"
	"fmt"

	"nearside/lua/vm"
	"nearside/matcher"
)

// setScan compares the rows with the reference of the request.
func setScan(c *vm.Call) error {
	s := c.Self().(*set)
	if s.req.hook != "match" {
		return fmt.Errorf("a set can be scanned only in match, and this is the hook %s", s.req.hook)
	}
	r, err := s.req.during()
	if err != nil {
		return err
	}
	rows, err := s.selection()
	if err != nil {
		return err
	}
	candidates := *r.sub.Candidates
	if c.Has(1) {
		candidates.Limit = c.Count(1, 1)
	}
	candidates.Limit, candidates.Targets = min(candidates.Limit, RowsMax), []string{}
	sub := *r.sub
	sub.Candidates, sub.Selection = &candidates, rows
	var result matcher.Result
	err = c.Wait(func(ctx context.Context) error {
		result = s.host.Services.Matching.Match(ctx, []matcher.SubRequest{sub})[0]
		return result.Err
	})
	if err != nil {
		return err
	}
	found := make([]any, len(result.Matches))
	for i, m := range result.Matches {
		found[i] = map[string]any{"id": m.ID.String(), "distance": m.Distance, "similarity": m.Similarity}
	}
	return c.Return(found)
}
