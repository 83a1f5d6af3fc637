package ns

import "nearside/lua/vm"

// syncModule has ns.signal and ns.lock, with which the tasks of a plugin wait for each
// other.
func syncModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{lockClass, signalClass},
		Functions: []vm.Function{
			{
				Name: "lock", Params: []string{"name: string"}, Returns: []string{"Lock"},
				Doc: "Returns the lock of this name. All states of the plugin share it, also during a reload. It is not held yet.",
				Run: newLock,
			},
			{
				Name: "signal", Returns: []string{"Signal"},
				Doc: "Returns a new signal, with which a task wakes other tasks of the same state.",
				Run: func(c *vm.Call) error {
					c.Charge(taskUnits)
					return c.Return(vm.Object{Class: signalClass, Value: &signal{}})
				},
			},
		},
	}
}
