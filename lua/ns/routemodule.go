package ns

import "nearside/lua/vm"

// routeModule is ns.route, which serves HTTP requests with functions.
func routeModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "route", Params: []string{"method: string", "path: string", "fn: fun(req: table): (integer, any, table?)"},
		Doc: "Serves /plugins/<name><path> by fn({method, path, query, query_all, headers, body}), which returns status, body (a table is sent as JSON), headers.",
		Run: func(c *vm.Call) error { return self(c).AddRoute(c.Text(1), c.Text(2), c.Func(3)) },
	}}}
}
