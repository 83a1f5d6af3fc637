package ns

import (
	"context"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
)

// setFilter keeps the rows for which a Lua function returns true.
func setFilter(c *vm.Call) error {
	s, test := c.Self().(*set), c.Func(1)
	names := make([]string, c.Args()-1)
	for i := range names {
		names[i] = c.Text(i + 2)
	}
	rows, err := s.selection()
	if err != nil {
		return err
	}
	read, err := rows.Reader(names...)
	if err != nil {
		return err
	}
	values := make([]any, len(names))
	kept, err := rows.Keep(context.Background(), func(r memory.Row) (bool, error) {
		read(r, values)
		for i := range values {
			values[i] = forLua(values[i])
		}
		results, err := c.Invoke(test, values...)
		return len(results) > 0 && results[0] != nil && results[0] != false, err
	})
	return s.returnSet(c, kept, err)
}

// setScan compares the rows with the reference of the request.
func setScan(c *vm.Call) error {
	s := c.Self().(*set)
	rows, err := s.selection()
	if err != nil {
		return err
	}
	candidates := *s.sub.Candidates
	if c.Has(1) {
		candidates.Limit = c.Count(1, 1)
	}
	candidates.Limit, candidates.Targets = min(candidates.Limit, RowsMax), []string{}
	sub := *s.sub
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

// setTable returns rows with their fields as tables.
func setTable(c *vm.Call) error {
	c.Charge(OpCost)
	limit := min(c.Count(1, 0), RowsMax)
	rows, err := c.Self().(*set).selection()
	if err != nil {
		return err
	}
	names := rows.Columns()
	read, err := rows.Reader(names...)
	if err != nil {
		return err
	}
	values, tables := make([]any, len(names)), []any{}
	for r := range rows.Rows() {
		if len(tables) >= limit {
			break
		}
		read(r, values)
		row := make(map[string]any, len(names))
		for i, v := range values {
			if v != nil {
				row[names[i]] = forLua(v)
			}
		}
		tables = append(tables, row)
		c.Charge(len(names))
	}
	return c.Return(tables)
}

// forLua converts the value of a column to a type that scripts can use.
func forLua(v any) any {
	switch v := v.(type) {
	case uint8:
		return float64(v)
	case matcher.Time:
		return v.String()
	case matcher.ID:
		return v.String()
	case []matcher.ID:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = v[i].String()
		}
		return texts
	}
	return v
}
