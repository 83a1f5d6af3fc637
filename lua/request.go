package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// requestTable is req of PLUGINS.md 4: what a plugin is told about the set
// and what is wanted of it.
func requestTable(ctx context.Context, sub *matcher.SubRequest) map[string]any {
	c := sub.Candidates
	req := map[string]any{
		"origin": c.Origin.String(), "filters": filterTable(&c.Filter), "limit": c.Limit, "threshold": c.Threshold, "order": c.Order.String(),
		"descriptor_type": sub.Version.Type.String(), "version": int(sub.Version.Number), "request_id": sub.RequestID,
	}
	if c.Targets != nil {
		req["targets"] = c.Targets
	}
	if sub.Account != nil {
		req["account_id"] = sub.Account.String()
	}
	if until, ok := ctx.Deadline(); ok {
		req["deadline_ms"] = float64(time.Until(until)) / float64(time.Millisecond)
	}
	return req
}

// filterTable gives the filters by their wire names (API.md 3).
func filterTable(f *matcher.Filter) map[string]any {
	t := map[string]any{}
	if f.IsZero() {
		return t
	}
	id := func(key string, v *matcher.ID) {
		if v != nil {
			t[key] = v.String()
		}
	}
	ids := func(key string, list []matcher.ID) {
		if list != nil {
			texts := make([]string, len(list))
			for i := range list {
				texts[i] = list[i].String()
			}
			t[key] = texts
		}
	}
	small := func(key string, v *uint8) {
		if v != nil {
			t[key] = int(*v)
		}
	}
	moment := func(key string, v *matcher.Time) {
		if v != nil {
			t[key] = v.String()
		}
	}
	id("account_id", f.Account)
	moment("create_time__gte", f.CreateTime.GTE)
	moment("create_time__lt", f.CreateTime.LT)
	if f.UserData != nil {
		t["user_data"] = *f.UserData
	}
	if f.ExternalIDs != nil {
		t["external_ids"] = f.ExternalIDs
	}
	small("age__gte", f.Age.GTE)
	small("age__lt", f.Age.LT)
	small("gender", f.Gender)
	if f.EthnicGroups != nil {
		groups := make([]any, len(f.EthnicGroups))
		for i, g := range f.EthnicGroups {
			groups[i] = int(g)
		}
		t["ethnic_groups"] = groups
	}
	ids("event_ids", f.EventIDs)
	ids("face_ids", f.FaceIDs)
	id("face_id__gte", f.FaceID.GTE)
	id("face_id__lt", f.FaceID.LT)
	id("list_id", f.ListID)
	ids("lists", f.Lists)
	return t
}

// rowsMax is the most rows that a match may return.
const rowsMax = 100_000

// rowIDs reads what a match returned: a list of {id = "uuid", ...}.
func rowIDs(value any) ([]matcher.ID, error) {
	if _, ok := value.(vm.Empty); ok {
		return nil, nil
	}
	rows, ok := value.([]any)
	if !ok {
		return nil, errors.New("the result is no list of rows {id = ...}")
	}
	if len(rows) > rowsMax {
		return nil, fmt.Errorf("%d rows are more than %d", len(rows), rowsMax)
	}
	ids := make([]matcher.ID, len(rows))
	for i, row := range rows {
		fields, _ := row.(map[string]any)
		text, ok := fields["id"].(string)
		if !ok {
			return nil, fmt.Errorf("row %d has no id that is a string", i+1)
		}
		id, err := matcher.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("row %d: id: %w", i+1, err)
		}
		ids[i] = id
	}
	return ids, nil
}

// only returns sub for those of its candidates that have one of ids.
func only(sub *matcher.SubRequest, ids []matcher.ID) matcher.SubRequest {
	narrow := *sub
	if s, err := selectionOf(sub.Selection); err == nil {
		narrow.Selection = s.ByID(ids)
		return narrow
	}
	c := *sub.Candidates
	wanted := &c.Filter.FaceIDs
	if c.Origin == matcher.Events {
		wanted = &c.Filter.EventIDs
	}
	if *wanted != nil {
		ids = slices.DeleteFunc(ids, func(id matcher.ID) bool { return !slices.Contains(*wanted, id) })
	}
	if ids == nil {
		ids = []matcher.ID{}
	}
	*wanted = ids
	narrow.Candidates = &c
	return narrow
}
