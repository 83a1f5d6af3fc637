package main

import (
	"fmt"
	"log/slog"
	"time"
)

// progressPause is the shortest time between two lines of the log about a start.
const progressPause = time.Second

// startProgress returns a function that logs the progress of loading the stored data. A start
// that takes less than progressPause logs none.
func startProgress(log *slog.Logger, now func() time.Time) func(done, total uint64) {
	last := now()
	return func(done, total uint64) {
		if t := now(); total > 0 && t.Sub(last) >= progressPause {
			last = t
			log.Info("loading", "records", done, "of", total, "done", fmt.Sprintf("%.0f %%", 100*float64(done)/float64(total)))
		}
	}
}

// logVerified returns a function that logs that the database was verified after a start.
func logVerified(log *slog.Logger) func(records uint64, took time.Duration) {
	return func(records uint64, took time.Duration) {
		log.Info("the database was verified", "records", records, "took", took.Round(time.Millisecond).String())
	}
}
