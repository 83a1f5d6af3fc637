package lua

import "nearside/lua/vm"

// Root is the name by which scripts require the host's library.
const Root = "nearside"

// library is what every plugin sees. It is immutable.
var library = vm.NewLibrary(Root, modules()...)

// modules lists the ns modules; one file each.
func modules() []vm.Module {
	return []vm.Module{
		amqpModule(),
		base64Module(),
		batchModule(),
		hashModule(),
		httpModule(),
		int64Module(),
		jsonModule(),
		kvModule(),
		logModule(),
		metricsModule(),
		miscModule(),
		reModule(),
		redisModule(),
		rejectModule(),
		resourceModule(),
		routeModule(),
		setModule(),
		storeModule(),
		tasksModule(),
	}
}
