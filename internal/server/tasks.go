package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"

	"nearside/internal/task"
	"nearside/matcher"
)

func (s *Server) listTasks(_ context.Context, x *exchange) error {
	all := x.options.Tasks.List()
	shown := make([]any, len(all))
	for i, t := range all {
		shown[i] = taskValue(t)
	}
	return x.sendValue(http.StatusOK, map[string]any{"tasks": shown})
}

func (s *Server) getTask(_ context.Context, x *exchange) error {
	t, err := x.options.Tasks.Find(x.Param("id"))
	if err != nil {
		return x.taskError(err)
	}
	return x.sendValue(http.StatusOK, taskValue(t))
}

// cancelTask asks a task to end. The answer has the task as it is then, so it may still run.
func (s *Server) cancelTask(_ context.Context, x *exchange) error {
	if err := x.options.Tasks.Cancel(x.Param("id")); err != nil {
		return x.taskError(err)
	}
	t, err := x.options.Tasks.Find(x.Param("id"))
	if err != nil {
		return x.taskError(err)
	}
	return x.sendValue(http.StatusAccepted, taskValue(t))
}

// startTask starts a task and answers with its ID.
func (x *exchange) startTask(kind, name string, input any) error {
	t, err := x.options.Tasks.Start(kind, name, input)
	if err != nil {
		return x.taskError(err)
	}
	return x.sendValue(http.StatusAccepted, map[string]any{"task": t.ID})
}

// taskError returns the error of a task.Runner as one that a client understands.
func (x *exchange) taskError(err error) error {
	var busy *task.RunningError
	switch {
	case errors.As(err, &busy):
		return matcher.Errorf(matcher.CodeTaskExists, "%w", err)
	case errors.Is(err, task.ErrNotFound):
		return matcher.Errorf(matcher.CodeTaskNotFound, "id: there is no task %.64q", x.Param("id"))
	case errors.Is(err, task.ErrEnded), errors.Is(err, task.ErrNoCancel):
		return matcher.Errorf(matcher.CodeBadInput, "id: task %s: %w", x.Param("id"), err)
	default:
		return err
	}
}

// taskValue returns a task as answers show it.
func taskValue(t task.Info) map[string]any {
	shown := map[string]any{
		"id": t.ID, "kind": t.Kind, "state": string(t.State), "progress": t.Progress, "create_time": matcher.TimeOf(t.Created),
	}
	if t.Name != "" {
		shown["name"] = t.Name
	}
	if t.Error != "" {
		shown["error"] = t.Error
	}
	if t.State != task.Running {
		shown["end_time"] = matcher.TimeOf(t.Ended)
	}
	if t.Report != nil {
		shown["report"] = jsonValue(t.Report)
	}
	return shown
}

// jsonValue reads JSON that this program has written. Whole numbers become int64.
func jsonValue(text []byte) any {
	d := json.NewDecoder(strings.NewReader(string(text)))
	var v any
	if err := d.Decode(&v); err != nil {
		return nil // a Runner keeps only what encoding/json has written
	}
	return wholeNumbers(v)
}

func wholeNumbers(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = wholeNumbers(v[k])
		}
	}
	return v
}
