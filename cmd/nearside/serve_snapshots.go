package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"nearside/internal/config"
	"nearside/internal/snapshot"
	"nearside/internal/task"
	"nearside/matcher"
)

// stagingFolder is the folder in the data directory in which a snapshot is made.
const stagingFolder = "SNAPSHOT"

// snapshots makes the snapshots of a server: those of requests, and those of the schedule.
type snapshots struct {
	folder *snapshot.Folder
	source snapshot.Source
	every  time.Duration // 0: there is no schedule
	keep   int           // scheduled snapshots
	log    *slog.Logger

	last     atomic.Int64 // when the newest snapshot was made, in Unix milliseconds; 0: never
	failures atomic.Int64
}

// openSnapshots removes what interrupted snapshots have left.
func openSnapshots(cfg *config.Config, source snapshot.Source, log *slog.Logger) *snapshots {
	s := &snapshots{
		folder: snapshot.NewFolder(cfg.SnapshotsDir(), filepath.Join(cfg.DataDir, stagingFolder)),
		source: source, every: cfg.Snapshots.Every, keep: cfg.Snapshots.Keep, log: log,
	}
	if err := s.folder.Clean(); err != nil {
		log.Warn("the rest of an interrupted snapshot cannot be removed", "error", err)
	}
	s.last.Store(s.newest(func(snapshot.Info) bool { return true }).UnixMilli())
	return s
}

// state returns what metrics show. A nil s is that of a server that is starting.
func (s *snapshots) state() (last time.Time, failures int64) {
	if s == nil {
		return last, 0
	}
	if ms := s.last.Load(); ms > 0 {
		last = time.UnixMilli(ms)
	}
	return last, s.failures.Load()
}

// newest returns when the newest of the snapshots that pass was made; the zero time if there
// is none.
func (s *snapshots) newest(pass func(snapshot.Info) bool) (at time.Time) {
	all, err := s.folder.List()
	if err != nil {
		return at // the next snapshot reports it
	}
	for _, info := range all {
		if info.Damage == nil && pass(info) {
			at = info.Created
		}
	}
	return at
}

// kind is the kind of tasks that make snapshots. An interrupted one fails, because its
// moment is over.
func (s *snapshots) kind() task.Kind {
	return task.Kind{Name: snapshot.TaskKind, Cancels: true, Run: s.run}
}

// snapshotReport is the report of a task that made a snapshot.
type snapshotReport struct {
	Name    string `json:"name"`
	Records uint64 `json:"records"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"`
}

// run makes a snapshot. After a scheduled one, it deletes those that are too many.
func (s *snapshots) run(ctx context.Context, t *task.Task) (any, error) {
	var job snapshot.Job
	if err := t.Input(&job); err != nil {
		return nil, err
	}
	start := time.Now()
	made, err := s.folder.Create(ctx, s.source, snapshot.Request{
		Name: job.Name, Scheduled: job.Scheduled, Version: versionText(), Progress: t.SetProgress,
	})
	if err != nil {
		if ctx.Err() == nil {
			s.failures.Add(1)
			s.log.Error("a snapshot could not be made", "name", job.Name, "error", err)
		}
		return nil, err
	}
	s.last.Store(made.Created.UnixMilli())
	s.log.Info("a snapshot was made", "name", made.Name, "records", made.Records, "bytes", made.Bytes, "took", time.Since(start).Round(time.Millisecond).String())
	if job.Scheduled {
		s.prune()
	}
	return snapshotReport{made.Name, made.Records, len(made.Files), made.Bytes}, nil
}

// prune deletes the scheduled snapshots that are too many.
func (s *snapshots) prune() {
	deleted, err := s.folder.Prune(s.keep)
	for _, name := range deleted {
		s.log.Info("an old snapshot was deleted", "name", name)
	}
	if err != nil {
		s.log.Warn("an old snapshot cannot be deleted", "error", err)
	}
}

// retryPause is the longest time after which a scheduled snapshot is tried again.
const retryPause = 10 * time.Minute

// start starts the scheduled snapshots until ctx ends. Then it closes the returned channel.
func (s *snapshots) start(ctx context.Context, tasks *task.Runner) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s.every > 0 {
			s.runSchedule(ctx, tasks)
		}
	}()
	return ended
}

func (s *snapshots) runSchedule(ctx context.Context, tasks *task.Runner) {
	var tried time.Time
	for {
		due := s.newest(func(i snapshot.Info) bool { return i.Scheduled }).Add(s.every)
		if again := tried.Add(min(s.every, retryPause)); due.Before(again) {
			due = again
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		tried = time.Now()
		s.startScheduled(tasks)
	}
}

// startScheduled starts a task. While another one runs, it does nothing.
func (s *snapshots) startScheduled(tasks *task.Runner) {
	job, err := s.folder.NewJob("")
	if err == nil {
		job.Scheduled = true
		_, err = tasks.Start(snapshot.TaskKind, job.Name, job)
	}
	var busy *task.RunningError
	if err != nil && !errors.As(err, &busy) && matcher.CodeOf(err) != matcher.CodeTaskExists {
		s.failures.Add(1)
		s.log.Error("the scheduled snapshot cannot be started; trying again", "error", err)
	}
}
