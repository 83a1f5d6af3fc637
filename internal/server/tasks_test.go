package server_test

import (
	"context"
	"strings"
	"testing"

	"nearside/internal/task"
)

func TestTasks(t *testing.T) {
	running, release := make(chan *task.Task), make(chan struct{})
	work := func(ctx context.Context, t *task.Task) (any, error) {
		running <- t
		select {
		case <-release:
			return map[string]any{"objects": 3, "share": 0.5}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	x := start(t, func(s *settings) {
		s.tasks = []task.Kind{{Name: "snapshot", Cancels: true, Run: work}, {Name: "erase", Run: work}}
	})
	const unknown = "5dc73618-3df8-563e-bc95-4cff773c93ec"
	x.call("GET", "/1/tasks", "").status(200).json(`{"tasks":[]}`)
	for _, method := range []string{"GET", "DELETE"} {
		x.call(method, "/1/tasks/"+unknown, "").fault(12055, "id", unknown)
	}

	done := x.startTask("snapshot", "before")
	(<-running).SetProgress(0.25)
	if at := x.call("GET", "/1/tasks/"+done, "").status(200); at.at("state") != "running" || at.at("progress") != 0.25 || at.at("name") != "before" {
		t.Errorf("got %s", at.body)
	}
	release <- struct{}{}
	x.waitTask(done, "done")
	if at := x.call("GET", "/1/tasks/"+done, ""); !strings.Contains(string(at.body), `"report":{"objects":3,"share":0.5}`) {
		t.Errorf("got %s", at.body)
	}
	x.call("DELETE", "/1/tasks/"+done, "").fault(12022, "id", "has ended")

	cancelled := x.startTask("snapshot", "")
	<-running
	x.call("DELETE", "/1/tasks/"+cancelled, "").status(202)
	if a := x.waitTask(cancelled, "failed"); a.at("error") != "cancelled" {
		t.Errorf("got %s", a.body)
	}

	erase := x.startTask("erase", "")
	<-running
	x.call("DELETE", "/1/tasks/"+erase, "").fault(12022, "id", "cannot be cancelled")
	release <- struct{}{}
	x.waitTask(erase, "done")
	if all := x.call("GET", "/1/tasks", "").status(200).at("tasks").([]any); len(all) != 3 || all[0].(map[string]any)["id"] != erase {
		t.Errorf("got %v", all)
	}
}

func (x *service) startTask(kind, name string) string {
	x.Helper()
	info, err := x.tasks.Start(kind, name, nil)
	if err != nil {
		x.Fatal(err)
	}
	return info.ID
}

// waitTask waits until the task is no longer running and returns its state.
func (x *service) waitTask(id, state string) *answer {
	x.Helper()
	for {
		a := x.call("GET", "/1/tasks/"+id, "").status(200)
		if got := a.at("state"); got != "running" {
			if got != state {
				x.Fatalf("the task is %v, want %s: %s", got, state, a.body)
			}
			return a
		}
	}
}
