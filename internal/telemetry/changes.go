package telemetry

import (
	"nearside/lua"
	"nearside/matcher"
	"nearside/matcher/store"
)

// Watches implements [store.Watcher].
func (p *Points) Watches(o matcher.Origin) bool { return p.Listens(lua.ChangeEventName(o)) }

// Changed implements [store.Watcher]. Plugins receive the changes as events.
func (p *Points) Changed(changes []store.Change) {
	listens := map[string]bool{}
	for i := range changes {
		name, value := lua.ChangeEvent(&changes[i])
		if name == "" {
			continue
		}
		wanted, known := listens[name]
		if !known {
			wanted = p.Listens(name)
			listens[name] = wanted
		}
		if wanted {
			p.Emit(name, changes[i].Cause, value)
		}
	}
}
