package trial

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// library is the library of tests of plugins. It has functions for tests, and the
// functions of ns that need no plugin.
var library = sync.OnceValue(func() *vm.Library {
	modules := []vm.Module{
		trialRootModule(), trialClockModule(), trialHTTPModule(), trialRedisModule(), trialAMQPModule(), trialLogModule(), trialMatchModule(), trialStoreModule(), trialFiguresModule(),
		ns.Base64Module(), ns.HashModule(), ns.Int64Module(), ns.JSONModule(), ns.ReModule(),
	}
	return vm.NewLibrary(Root, modules...)
})

func trialRootModule() vm.Module {
	return vm.Module{Classes: []*vm.Class{trialPluginClass}, Functions: []vm.Function{
		{Name: "case", Params: []string{"name: string", "fn: function"}, Doc: "Declares a test. Each starts with nothing: no plugin, no requests, an empty Redis.", Run: trialAddCase},
		{
			Name: "start", Params: []string{"settings?: table"}, Returns: []string{"Plugin"}, Waits: true,
			Doc: "Starts the plugin with these settings and runs it until it is at rest. Raises what would keep it from starting.", Run: trialStart,
		},
		{Name: "equal", Params: []string{"got: any", "want: any", "what?: string"}, Doc: "Fails the test unless both are the same, tables by their contents.", Run: trialEqual},
		{Name: "ok", Params: []string{"value: any", "what?: string"}, Doc: "Fails the test when value is nil or false.", Run: func(c *vm.Call) error {
			if !c.Bool(1) {
				return errors.New(c.TextOr(2, "it is not so"))
			}
			return nil
		}},
		{Name: "contains", Params: []string{"text: string", "part: string", "what?: string"}, Doc: "Fails the test unless text contains part, as it stands.", Run: func(c *vm.Call) error {
			if !strings.Contains(c.Text(1), c.Text(2)) {
				return fmt.Errorf("%s%q is not in %q", prefix(c.TextOr(3, "")), c.Text(2), c.Text(1))
			}
			return nil
		}},
		{
			Name: "fails", Params: []string{"fn: function", "part?: string"}, Returns: []string{"string"}, Waits: true,
			Doc: "Fails the test unless fn raises an error, one that contains part; returns it.", Run: trialFails,
		},
	}}
}

func trialAddCase(c *vm.Call) error {
	s := c.Owner().(*suite)
	if s.current != nil {
		return errors.New("a test cannot declare another one")
	}
	s.cases = append(s.cases, trialCase{c.Text(1), c.Func(2)})
	return nil
}

func prefix(what string) string {
	if what == "" {
		return ""
	}
	return what + ": "
}

func trialEqual(c *vm.Call) error {
	got, want := plain(c.Value(1)), plain(c.Value(2))
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%sgot %s, want %s", prefix(c.TextOr(3, "")), shownValue(got), shownValue(want))
}

// plain replaces all empty tables with vm.Empty, so that they compare equal.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return vm.Empty{}
		}
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		if len(v) == 0 {
			return vm.Empty{}
		}
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

func shownValue(v any) string {
	if v == nil {
		return "nil"
	}
	text, err := goval.EncodeJSON(goval.Clone(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func trialFails(c *vm.Call) error {
	var said string
	fn, state := c.Func(1), c.State()
	err := c.Wait(func(ctx context.Context) error {
		_, err := state.Call(ctx, vm.Limits{Slice: 2 * time.Second}, fn)
		if err != nil {
			said = err.Error()
		}
		return ctx.Err()
	})
	switch {
	case err != nil:
		return err
	case said == "":
		return errors.New("there was no error")
	case !strings.Contains(said, c.TextOr(2, "")):
		return fmt.Errorf("%q is not in the error %q", c.Text(2), said)
	}
	return c.Return(said)
}

func trialClockModule() vm.Module {
	return vm.Module{Name: "clock", Doc: "The time of the test, which stands still while anything runs.", Functions: []vm.Function{
		{
			Name: "advance", Params: []string{"seconds: number"}, Waits: true,
			Doc: "Lets time pass: timers fire and sleepers wake, in their order, and all that they do is done when it returns.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				d, err := ns.Duration(c.Number(1))
				if err != nil {
					return err
				}
				return c.Wait(func(ctx context.Context) error { return t.clock.advance(ctx, d) })
			},
		},
		{
			Name: "now", Returns: []string{"number"}, Doc: "Unix time in seconds, as the plugin's ns.now() gives it.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				return c.Return(float64(t.clock.Now().UnixNano()) / 1e9)
			},
		},
	}}
}

func trialLogModule() vm.Module {
	return vm.Module{Name: "log", Doc: "What the plugin logs.", Functions: []vm.Function{{
		Name: "lines", Returns: []string{"{level: string, message: string, fields: table}[]"}, Doc: "The lines so far.",
		Run: func(c *vm.Call) error {
			t, err := trialOf(c)
			if err != nil {
				return err
			}
			lines := t.log.all()
			for _, line := range lines {
				fields := line.(map[string]any)["fields"].(map[string]any)
				for k, v := range fields {
					if _, err := goval.JSONValue(goval.Clone(v)); err != nil {
						fields[k] = fmt.Sprint(v)
					}
				}
			}
			return c.Return(lines)
		},
	}}}
}

// LibraryFile is the definition of require("nearside.test") for editors:
// lua/library/nearside.test.lua.
func LibraryFile() string { return ns.FormatLibrary(library(), "test") }
