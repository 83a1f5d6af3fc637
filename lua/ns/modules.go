package ns

import "nearside/lua/vm"

// Root is the name with which scripts require the host's library.
const Root = "nearside"

// Library is the library that every plugin can require. It is immutable.
var Library = vm.NewLibrary(Root, modules()...)

// modules lists the modules of the library.
func modules() []vm.Module {
	return []vm.Module{
		amqpModule(),
		Base64Module(),
		batchModule(),
		HashModule(),
		httpModule(),
		Int64Module(),
		JSONModule(),
		kvModule(),
		logModule(),
		metricsModule(),
		miscModule(),
		ReModule(),
		redisModule(),
		rejectModule(),
		resourceModule(),
		routeModule(),
		setModule(),
		storeModule(),
		tasksModule(),
	}
}
