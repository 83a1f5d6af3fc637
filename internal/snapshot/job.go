package snapshot

import "time"

// TaskKind is the name of the kind of tasks that make snapshots. A Job is their input.
const TaskKind = "snapshot"

// Job says which snapshot a task makes.
type Job struct {
	Name      string `json:"name"`
	Scheduled bool   `json:"scheduled"`
}

// NewJob returns a job whose name is valid and free. An empty name becomes the present time.
// The error is CodeBadInput or CodeTaskExists.
func (f *Folder) NewJob(name string) (Job, error) {
	if name == "" {
		name = TimeName(time.Now())
	}
	if err := CheckName(name); err != nil {
		return Job{}, err
	}
	return Job{Name: name}, f.checkFree(name)
}
