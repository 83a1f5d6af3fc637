package trial

import (
	"context"

	"nearside/lua/vm"
)

func trialRedisModule() vm.Module {
	return vm.Module{Name: "redis", Doc: "The Redis of the test. It has strings, hashes, lists, sets, streams with groups and PUBLISH. script runs EVAL. Times to live and idle times follow the clock of the test. It is empty at first.", Functions: []vm.Function{
		{
			Name: "call", Params: []string{"command: string", "...: string|number"}, Returns: []string{"any", "string? err"}, Waits: true,
			Doc: "Runs a command as another client, and returns when the plugin is idle.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				if err := callRedisDouble(c, t.redis); err != nil {
					return err
				}
				return c.Wait(func(ctx context.Context) error { return t.clock.advance(ctx, 0) })
			},
		},
		{
			Name: "pending", Params: []string{"stream: string", "group: string"}, Returns: []string{"string[]"},
			Doc: "The ids of the entries that the group has delivered and that are not acknowledged.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				t.redis.mu.Lock()
				defer t.redis.mu.Unlock()
				return c.Return(t.redis.data.pendingIDs(c.Text(1), c.Text(2)))
			},
		},
		{
			Name: "down", Params: []string{"reason?: string"}, Doc: "Makes all commands of the plugin fail with reason. A call without reason ends this.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				t.redis.setDown(c.TextOr(1, ""))
				return nil
			},
		},
		{
			Name: "script", Params: []string{"fn: fun(script: string, keys: string[], args: string[]): any"}, Doc: "Calls fn for each EVAL. The reply is the result of fn, or the error that fn raises.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				t.redis.mu.Lock()
				defer t.redis.mu.Unlock()
				t.redis.script = c.Func(1)
				t.redis.script.State().Keep(t.redis.script)
				return nil
			},
		},
	}}
}
