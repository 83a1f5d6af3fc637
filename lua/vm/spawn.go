package vm

import "context"

// A Task is a function that runs in its own goroutine, which belongs to a state.
type Task struct{ cancel context.CancelFunc }

// Cancel ends the task: a waiting function returns at once, and running Lua code is
// killed within a few hundred instructions.
func (t *Task) Cancel() { t.cancel() }

// Spawn calls fn in a new task. Close waits for the task. If done is not nil, it is
// called in the goroutine of the task with the result of the call. Spawn fails with
// ErrTasks if the state has MaxTasks tasks, and with ErrClosed if it is closed.
func (s *State) Spawn(lim Limits, fn *Func, args []any, done func(error)) (*Task, error) {
	release := s.Keep([]any{fn, args})
	task, err := s.Go(func(ctx context.Context) {
		defer release()
		_, err := s.Call(ctx, lim, fn, args...)
		if done != nil {
			done(err)
		}
	})
	if err != nil {
		release()
	}
	return task, err
}

// Go runs f in a new task. ctx ends when the task is cancelled and when the state is
// closed. The errors are those of Spawn.
func (s *State) Go(f func(ctx context.Context)) (*Task, error) {
	if s.tasks.Add(1) > MaxTasks {
		s.tasks.Add(-1)
		return nil, ErrTasks
	}
	if !s.beginCall() {
		s.tasks.Add(-1)
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(s.ctx)
	go func() {
		defer s.running.Done()
		defer s.tasks.Add(-1)
		defer cancel()
		f(ctx)
	}()
	return &Task{cancel}, nil
}

// Tasks returns the number of running tasks.
func (s *State) Tasks() int { return int(s.tasks.Load()) }
