package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// taskPoll is the pause between two requests for the state of a task.
const taskPoll = 200 * time.Millisecond

// waitTask waits for the end of a task and returns its report. It shows the progress on a
// terminal.
func (c *client) waitTask(s *system, id string) (report json.RawMessage, err error) {
	bar := newPartProgress(s.stderr)
	defer bar.close()
	for {
		data, err := c.call(s.ctx, http.MethodGet, "/1/tasks/"+id, nil, nil)
		switch {
		case s.ctx.Err() != nil:
			return nil, fmt.Errorf("task %s continues on the server: %w", id, context.Cause(s.ctx))
		case err != nil:
			return nil, fmt.Errorf("task %s: %w", id, err)
		}
		var t struct {
			State, Error string
			Progress     float64
			Report       json.RawMessage
		}
		if err := json.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("server: task %s: %w", id, err)
		}
		switch t.State {
		case "done":
			return t.Report, nil
		case "failed":
			return nil, fmt.Errorf("task %s has failed: %s", id, t.Error)
		}
		bar.setPart(t.Progress)
		select {
		case <-time.After(taskPoll):
		case <-s.ctx.Done(): // the next request reports it
		}
	}
}
