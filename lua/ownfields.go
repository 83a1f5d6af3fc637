package lua

import (
	"maps"
	"slices"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// checkOwnFields checks the plugin's own fields, which the contract does not name. The
// names of functions must begin with an underscore, so that misspelt hooks are noticed.
// Other fields may have any name that does not look like a misspelt name of the contract.
func checkOwnFields(r *goval.Reader) {
	for _, name := range slices.Sorted(maps.Keys(r.Map)) {
		if strings.HasPrefix(name, "_") || slices.Contains(contractNames, name) {
			continue
		}
		if _, isFunction := r.Map[name].(*vm.Func); isFunction {
			r.Fault(name, "is not a hook, so the host would never call it; make your own functions local, or begin their names with an underscore%s",
				goval.DidYouMean(name, hookNames))
		} else if goval.Misspelt(name, contractNames) {
			r.Fault(name, "is unknown; rename it, or begin it with an underscore, if it is a field of your own%s", goval.DidYouMean(name, contractNames))
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
