package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// columns has the columns that plugins see, by origin and name. A nested plain field is
// named by its path. Tags, meta, positions, end times and the similarity of the top match
// are not available.
var columns = func() (by [matcher.Origins]map[string]column) {
	for o := range matcher.Origins {
		by[o] = map[string]column{
			o.Singular() + "_id": ownID,
			"account_id":         accountColumn,
			"create_time":        timeColumn(func(c *table.Chunk) []matcher.Time { return c.Times }),
		}
		for slot, f := range table.Shapes[o].Smalls {
			by[o][f.Path()] = smallColumn(func(c *table.Chunk) []matcher.Small { return c.Smalls[slot] })
		}
		for slot, f := range table.Shapes[o].Texts {
			switch f.Kind {
			case matcher.UUIDField:
				by[o][f.Path()] = idColumn(slot)
			case matcher.SmallsField:
				by[o][f.Path()] = smallsColumn(slot)
			default:
				by[o][f.Path()] = textColumn(slot)
			}
		}
	}
	by[matcher.Faces]["lists"] = listsColumn
	return by
}()

// columnOf returns the column of o called name.
func columnOf(o matcher.Origin, name string) (column, error) {
	c, ok := columns[o][name]
	if !ok {
		return c, fmt.Errorf("%q is not one of the columns %s", name, strings.Join(columnNames(o), ", "))
	}
	return c, nil
}

// Columns returns the names of all columns of the objects in s, sorted alphabetically.
func (s *Selection) Columns() []string { return columnNames(s.rows.Origin()) }

func columnNames(o matcher.Origin) []string { return slices.Sorted(maps.Keys(columns[o])) }
