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
// named by its path. Declared fields of meta are not in it; see [Selection.column].
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
	maps.Copy(by[matcher.Events], eventColumns)
	return by
}()

// metaPrefix is the prefix of the columns of declared fields of meta.
const metaPrefix = "meta."

// column returns the column called name.
func (s *Selection) column(name string) (column, error) {
	if c, ok := columns[s.rows.Origin()][name]; ok {
		return c, nil
	}
	path, isMeta := strings.CutPrefix(name, metaPrefix)
	for i, f := range s.metaFields() {
		if isMeta && f.Path == path {
			return metaColumn(i, f), nil
		}
	}
	return column{}, fmt.Errorf("%q is not one of the columns %s", name, strings.Join(s.Columns(), ", "))
}

// metaFields returns the declared fields of meta, which only events have.
func (s *Selection) metaFields() []matcher.MetaField {
	if s.rows.Origin() != matcher.Events {
		return nil
	}
	return s.memory.tables.Layouts[matcher.Events].Meta
}

// Columns returns the names of all columns of the objects in s, sorted alphabetically.
func (s *Selection) Columns() []string {
	names := slices.Collect(maps.Keys(columns[s.rows.Origin()]))
	for _, f := range s.metaFields() {
		names = append(names, metaPrefix+f.Path)
	}
	slices.Sort(names)
	return names
}
