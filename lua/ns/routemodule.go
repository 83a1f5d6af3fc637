package ns

import "nearside/lua/vm"

// routeModule is ns.route, which serves HTTP requests with functions.
func routeModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "route", Params: []string{"method: string", "path: string", "fn: fun(req: table): (integer, any, table?)"},
		Doc: "Serves requests for /plugins/<name><path> with fn. fn receives {method, path, query, query_all, headers, body} and returns the status, the body (a table is encoded as JSON) and the headers.",
		Run: func(c *vm.Call) error { return self(c).AddRoute(c.Text(1), c.Text(2), c.Func(3)) },
	}}}
}
