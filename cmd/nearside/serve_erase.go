package main

import (
	"nearside/internal/erase"
	"nearside/internal/task"
)

// eraseKind returns the kind of task that erases objects.
func (s *service) eraseKind() task.Kind {
	return erase.New(erase.Options{
		Dir: s.config.DataDir, Store: s.store, Memory: s.memory, Registry: s.registry,
		Snapshots: s.snapshots.Load().folder, AuditFile: func() string { return s.audit.Settings().File },
	})
}
