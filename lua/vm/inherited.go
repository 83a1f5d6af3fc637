package vm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// Inherited returns the paths that a script can read in table only through a
// metatable. A conversion to Go does not see them. The paths are sorted. They are:
//   - "name", for each of names that the table itself lacks but inherits;
//   - "name.*" or "name.inner.*", for each table in these fields that has an
//     __index.
//
// It may run Lua functions, which must not wait.
func (s *State) Inherited(ctx context.Context, lim Limits, table *Ref, names []string) (paths []string, err error) {
	t, ok := table.value.(*glua.LTable)
	if !ok {
		return nil, nil
	}
	seen := map[*glua.LTable]bool{} // a table may contain itself
	look := &glua.LFunction{IsG: true, Env: s.lib.env, GFunction: func(l *glua.LState) int {
		for _, name := range names {
			switch v := t.RawGetString(name).(type) {
			case *glua.LTable:
				paths = append(paths, indexed(v, name, seen)...)
			case *glua.LNilType:
				if hasIndex(t) && l.GetField(t, name) != glua.LNil {
					paths = append(paths, name)
				}
			}
		}
		return 0
	}}
	err = s.callOnThread(ctx, lim, "waiting is not possible while a plugin is loading", look, nil, func(*glua.LState) error { return nil })
	slices.Sort(paths)
	return paths, err
}

// hasIndex reports whether the metatable of t has an __index.
func hasIndex(t *glua.LTable) bool {
	meta, ok := t.Metatable.(*glua.LTable)
	return ok && meta.RawGetString("__index") != glua.LNil
}

// indexed returns the paths of all tables in t that have an __index, including t
// itself, whose path is path. It adds the tables that it visits to seen.
func indexed(t *glua.LTable, path string, seen map[*glua.LTable]bool) (paths []string) {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if hasIndex(t) {
		paths = append(paths, path+".*")
	}
	t.ForEach(func(k, v glua.LValue) {
		if inner, ok := v.(*glua.LTable); ok {
			paths = append(paths, indexed(inner, path+"."+k.String(), seen)...)
		}
	})
	return paths
}

// ReturnExtended copies those fields of argument base that argument target lacks to
// target, and returns target to the script. Both arguments are tables. Fields that base
// inherits through tables in __index are copied too. Fields whose names begin
// with two underscores are not copied.
func (c *Call) ReturnExtended(base, target int) error {
	from, to := c.tableArg(base), c.tableArg(target)
	before := extentOf(to)
	defer func() { c.exec.chargeGrowth(to, before) }()
	for depth := 0; ; depth++ {
		if depth == MaxDepth {
			return fmt.Errorf("argument #%d inherits through more than %d tables (a cycle?)", base, MaxDepth)
		}
		fields := 0
		from.ForEach(func(k, v glua.LValue) {
			fields++
			name, ok := k.(glua.LString)
			if ok && !strings.HasPrefix(string(name), "__") && to.RawGetString(string(name)) == glua.LNil {
				to.RawSetString(string(name), v)
			}
		})
		c.Charge(fields)
		if !hasIndex(from) {
			break
		}
		next, ok := from.Metatable.(*glua.LTable).RawGetString("__index").(*glua.LTable)
		if !ok {
			return fmt.Errorf("argument #%d has a function as __index, so its fields cannot be listed: use a table", base)
		}
		if next == from {
			break
		}
		from = next
	}
	c.l.Push(to)
	c.returned++
	return nil
}

// tableArg returns argument i, which must be a table.
func (c *Call) tableArg(i int) *glua.LTable {
	t, ok := c.arg(i).(*glua.LTable)
	if !ok {
		c.failArgument(i, "table")
	}
	return t
}
