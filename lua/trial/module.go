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
		trialRootModule(), trialClockModule(), trialHTTPModule(), trialRedisModule(), trialAMQPModule(), trialLogModule(), trialMatchModule(), trialStoreModule(), trialMetricsModule(),
		ns.Base64Module(), ns.HashModule(), ns.HexModule(), ns.Int64Module(), ns.JSONModule(), ns.ReModule(), ns.TimeModule(),
	}
	return vm.NewLibrary(Root, modules...)
})

func trialRootModule() vm.Module {
	return vm.Module{Classes: []*vm.Class{trialPluginClass}, Functions: []vm.Function{
		{Name: "case", Params: []string{"name: string", "fn: function"}, Doc: "Declares a test. Every test starts without a plugin and without requests, and with an empty Redis.", Run: trialAddCase},
		{
			Name: "start", Params: []string{"settings?: table"}, Returns: []string{"Plugin"}, Waits: true,
			Doc: "Starts the plugin with these settings. Returns when the plugin is idle. Raises an error if the plugin cannot start.", Run: trialStart,
		},
		{Name: "equal", Params: []string{"got: any", "want: any", "label?: string"}, Doc: "Fails the test unless got and want are equal. Tables are equal if their contents are equal.", Run: trialEqual},
		{Name: "ok", Params: []string{"value: any", "message?: string"}, Doc: "Fails the test if value is nil or false.", Run: func(c *vm.Call) error {
			if !c.Bool(1) {
				return errors.New(c.TextOr(2, "the value is nil or false"))
			}
			return nil
		}},
		{Name: "contains", Params: []string{"text: string", "part: string", "label?: string"}, Doc: "Fails the test unless text contains part. part is not a pattern.", Run: func(c *vm.Call) error {
			if !strings.Contains(c.Text(1), c.Text(2)) {
				return fmt.Errorf("%s%q is not in %q", labelPrefix(c.TextOr(3, "")), c.Text(2), c.Text(1))
			}
			return nil
		}},
		{
			Name: "fails", Params: []string{"fn: function", "part?: string"}, Returns: []string{"string"}, Waits: true,
			Doc: "Fails the test unless fn raises an error that contains part. Returns the text of the error.", Run: trialFails,
		},
	}}
}

func trialAddCase(c *vm.Call) error {
	s := c.Owner().(*suite)
	if s.current != nil {
		return errors.New("a test cannot declare another test: call test.case outside of tests")
	}
	s.cases = append(s.cases, trialCase{c.Text(1), c.Func(2)})
	return nil
}

func labelPrefix(label string) string {
	if label == "" {
		return ""
	}
	return label + ": "
}

func trialEqual(c *vm.Call) error {
	got, want := markEmptyTables(c.Value(1)), markEmptyTables(c.Value(2))
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%sgot %s, want %s", labelPrefix(c.TextOr(3, "")), shownValue(got), shownValue(want))
}

// markEmptyTables replaces all empty tables with vm.Empty, so that they compare equal.
func markEmptyTables(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return vm.Empty{}
		}
		for k := range v {
			v[k] = markEmptyTables(v[k])
		}
	case []any:
		if len(v) == 0 {
			return vm.Empty{}
		}
		for i := range v {
			v[i] = markEmptyTables(v[i])
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
	var message string
	fn, state := c.Func(1), c.State()
	err := c.Wait(func(ctx context.Context) error {
		_, err := state.Call(ctx, vm.Limits{Slice: 2 * time.Second}, fn)
		if err != nil {
			message = err.Error()
		}
		return ctx.Err()
	})
	switch {
	case err != nil:
		return err
	case message == "":
		return errors.New("the function raised no error")
	case !strings.Contains(message, c.TextOr(2, "")):
		return fmt.Errorf("%q is not in the error %q", c.Text(2), message)
	}
	return c.Return(message)
}

func trialClockModule() vm.Module {
	return vm.Module{Name: "clock", Doc: "The clock of the test. It stands still while any code of the plugin runs.", Functions: []vm.Function{
		{
			Name: "advance", Params: []string{"seconds: number"}, Waits: true,
			Doc: "Moves the clock forward. Timers fire and sleeping tasks wake in the order of their times. Returns when the plugin is idle.",
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
			Name: "now", Returns: []string{"number"}, Doc: "The Unix time in seconds. The plugin's ns.now() returns the same.",
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
	return vm.Module{Name: "log", Doc: "The log of the plugin.", Functions: []vm.Function{{
		Name: "lines", Returns: []string{"{level: string, message: string, fields: table}[]"}, Doc: "The lines that the plugin has logged so far.",
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
