package lua

import (
	"maps"
	"slices"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// checkOwn checks the fields that the contract does not name. Functions must begin
// with an underscore, so that misspelt hooks are noticed. Other values may have any
// name that does not look like a misspelt name of the contract.
func checkOwn(r *goval.Reader) {
	for _, name := range slices.Sorted(maps.Keys(r.Map)) {
		if strings.HasPrefix(name, "_") || slices.Contains(contractNames, name) {
			continue
		}
		if _, isFunction := r.Map[name].(*vm.Func); isFunction {
			r.Fault(name, "a function of this name is not a hook, so it would never run; functions of your own are local or begin with an underscore%s",
				goval.DidYouMean(name, hookNames))
		} else if goval.Misspelt(name, contractNames) {
			r.Fault(name, "is unknown; a field of your own has a name less like those of the contract, or begins with an underscore%s", goval.DidYouMean(name, contractNames))
		}
	}
}

// refuseInherited refuses fields that exist only through a metatable. The host does not
// read metatables, so an inherited hook would never run.
func refuseInherited(r *goval.Reader, paths []string) {
	for _, path := range paths {
		if field, nested := strings.CutSuffix(path, ".*"); nested {
			r.Fault(field, "has a metatable with __index, which is not read: write the fields into the table itself")
		} else {
			r.Fault(path, "is inherited through a metatable, which is not read: copy it with ns.extend(Base, M)")
		}
	}
}
