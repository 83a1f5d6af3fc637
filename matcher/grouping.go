package matcher

import (
	"slices"
	"strings"
)

// GroupField is a plain field by whose value the rows of an answer can be grouped.
type GroupField = *Field

// GroupSizeMax is the maximum of [Grouping.Size].
const GroupSizeMax = 10

// Grouping groups the rows of an answer that have the same value of a field. A row
// without the field is a group of its own. Limit and Offset then count groups. Groups
// are ordered by their first rows.
type Grouping struct {
	By   GroupField
	Size int // maximum number of rows of a group, 1 to GroupSizeMax
}

// groupPaths are the paths of the fields by which rows can be grouped.
var groupPaths = []string{"external_id", "user_data", "face_id", "track_id", "source"}

// GroupFields returns the fields by which objects of o can be grouped.
func GroupFields(o Origin) []GroupField {
	var all []GroupField
	for _, path := range groupPaths {
		for _, f := range Fields(o) {
			if f.Path() == path {
				all = append(all, f)
			}
		}
	}
	return all
}

// GroupNames returns the names of fields, separated by commas.
func GroupNames(fields []GroupField) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// GroupOf returns the value of the field in obj as answers show it. It is empty if obj
// does not have the field.
func (g *Grouping) GroupOf(obj *Object) string {
	if g.By.Kind != UUIDField {
		return g.By.Text(obj)
	}
	if id := g.By.UUID(obj); !id.IsZero() {
		return id.String()
	}
	return ""
}

// GroupSize returns the maximum number of rows of a group of an answer. It is 1 if rows
// are not grouped.
func (c *Candidates) GroupSize() int {
	if c.Group == nil {
		return 1
	}
	return c.Group.Size
}

// Ranked returns the number of rows, or of groups, from the first in the order to the last
// of the answer: those that Offset skips and those of the answer.
func (c *Candidates) Ranked() int { return c.Offset + c.Limit }

// RowsMax returns the maximum number of rows that an answer has or skips.
func (c *Candidates) RowsMax() int { return c.Offset + c.AnswerMax() }

// AnswerMax returns the maximum number of rows of an answer.
func (c *Candidates) AnswerMax() int { return c.Limit * c.GroupSize() }

// Arrange sorts the rows of an answer that another matcher made, groups them, and cuts the
// result to the limit. It does not skip rows, because that matcher has applied Offset.
func (c *Candidates) Arrange(r *Reference, rows []Match) []Match {
	slices.SortFunc(rows, func(a, b Match) int { return r.CompareRows(c.Order, &a, &b) })
	if c.Group == nil {
		return rows[:min(len(rows), c.Limit)]
	}
	var groups [][]Match
	byValue := map[string]int{}
	for _, row := range rows {
		n, known := byValue[row.Group]
		switch {
		case row.Group == "" || !known:
			byValue[row.Group] = len(groups)
			groups = append(groups, []Match{row})
		case len(groups[n]) < c.Group.Size:
			groups[n] = append(groups[n], row)
		}
	}
	return slices.Concat(groups[:min(len(groups), c.Limit)]...)
}
