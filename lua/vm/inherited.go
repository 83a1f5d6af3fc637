package vm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// Inherited returns, sorted, the paths below table that a script sees only
// through a metatable, and a conversion to Go does not: of the fields in
// names, those that the table itself lacks, as "name"; and of the tables in
// these fields, those that have an __index of their own, as "name.*" or
// "name.inner.*". It may run Lua, which may not wait.
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
	err = s.call(ctx, lim, "waiting is not possible while a plugin is loading", look, nil, func(*glua.LState) error { return nil })
	slices.Sort(paths)
	return paths, err
}

func hasIndex(t *glua.LTable) bool {
	meta, ok := t.Metatable.(*glua.LTable)
	return ok && meta.RawGetString("__index") != glua.LNil
}

// indexed returns the paths of the tables within t, itself included, that have
// an __index. It adds the tables that it visits to seen.
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

// ReturnExtended copies the fields of table base that table target lacks, and
// returns target. base and target are numbers of arguments. Fields that base
// inherits through tables in __index are copied too; fields whose names begin
// with two underscores are not.
func (c *Call) ReturnExtended(base, target int) error {
	from, to := c.table(base), c.table(target)
	before := sizeNow(to)
	defer func() { c.task.grown(to, before) }()
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
			return errors.New("the fields of a base whose __index is a function cannot be listed")
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

func (c *Call) table(i int) *glua.LTable {
	t, ok := c.get(i).(*glua.LTable)
	if !ok {
		c.bad(i, "table")
	}
	return t
}
