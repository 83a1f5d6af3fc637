package main

import (
	"path/filepath"

	"nearside/internal/task"
)

// tasksFolder is the folder of the records of tasks, in the data directory.
const tasksFolder = "tasks"

// openTasks opens the records of tasks. Interrupted tasks continue with Resume.
func (s *service) openTasks() (*task.Runner, error) {
	return task.Open(filepath.Join(s.config.DataDir, tasksFolder), s.log, s.snapshots.Load().kind(), s.eraseKind())
}
