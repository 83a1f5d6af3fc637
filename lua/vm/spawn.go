package vm

import "context"

// A Task is a call that runs in a goroutine of its own.
type Task struct{ cancel context.CancelFunc }

// Cancel ends the task: a waiting call in it returns at once, and Lua is
// killed at its next instruction.
func (t *Task) Cancel() { t.cancel() }

// Spawn calls fn in a goroutine that belongs to the state: Close waits for
// it. done, if not nil, gets the outcome, in that goroutine. It fails with
// ErrTasks when the state has MaxTasks, with ErrClosed when it is closed.
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

// Go runs f in a goroutine that belongs to the state; ctx ends with the task
// and with the state.
func (s *State) Go(f func(ctx context.Context)) (*Task, error) {
	if s.tasks.Add(1) > MaxTasks {
		s.tasks.Add(-1)
		return nil, ErrTasks
	}
	if !s.begin() {
		s.tasks.Add(-1)
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(s.ctx)
	go func() {
		defer s.calls.Done()
		defer s.tasks.Add(-1)
		defer cancel()
		f(ctx)
	}()
	return &Task{cancel}, nil
}

// Tasks returns how many tasks run.
func (s *State) Tasks() int { return int(s.tasks.Load()) }
