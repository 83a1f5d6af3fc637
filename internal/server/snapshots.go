package server

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"time"

	"nearside/internal/coding"
	"nearside/internal/snapshot"
	"nearside/matcher"
	"nearside/matcher/wire"
)

const (
	// downloadsMax is how many snapshots are sent at once. Each needs downloadBytes of
	// memory, and as much for reading.
	downloadsMax  = 8
	downloadBytes = 256 << 10
)

// createSnapshot starts a task that makes a snapshot. The name is optional, and so is the body.
func (s *Server) createSnapshot(_ context.Context, x *exchange) error {
	name, err := decodeBody(x, (*wire.Decoder).SnapshotName)
	if err != nil {
		return err
	}
	job, err := x.options.Snapshots.NewJob(name)
	if err != nil {
		return err
	}
	return x.startTask(snapshot.TaskKind, job.Name, job)
}

func (s *Server) listSnapshots(_ context.Context, x *exchange) error {
	all, err := x.options.Snapshots.List()
	if err != nil {
		return err
	}
	shown := make([]any, len(all))
	for i := range all {
		shown[i] = snapshotValue(&all[i])
	}
	return x.sendValue(http.StatusOK, map[string]any{"snapshots": shown})
}

// snapshotValue returns a snapshot as answers show it.
func snapshotValue(i *snapshot.Info) map[string]any {
	if i.Damage != nil {
		return map[string]any{"name": i.Name, "error": i.Damage.Error()}
	}
	return map[string]any{
		"name": i.Name, "create_time": matcher.TimeOf(i.Created), "scheduled": i.Scheduled, "version": i.Version,
		"records": i.Records, "bytes": i.Bytes,
	}
}

func (s *Server) deleteSnapshot(_ context.Context, x *exchange) error {
	if err := x.options.Snapshots.Delete(x.Param("id")); err != nil {
		return err
	}
	return x.sendNoContent()
}

// sendSnapshot sends a snapshot as a tar archive. It is not compressed, because descriptors
// hardly become smaller. There is a deadline for each piece, but not for the whole archive.
func (s *Server) sendSnapshot(_ context.Context, x *exchange) error {
	info, err := x.options.Snapshots.Find(x.Param("id"))
	if err != nil {
		return err
	}
	if info.Damage != nil {
		return matcher.Errorf(matcher.CodeInternal, "snapshot %s: %w", info.Name, info.Damage)
	}
	select {
	case s.downloads <- struct{}{}:
		defer func() { <-s.downloads }()
	default:
		return matcher.Overloaded(time.Minute, "%d snapshots are being sent, which is the limit", downloadsMax)
	}
	x.outCoding = coding.Identity
	x.Response.Header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", info.Name+".tar"))
	out := x.startStream(http.StatusOK, "application/x-tar")
	if x.IsHead() {
		return nil
	}
	pieces := bufio.NewWriterSize(snapshotWriter{x, out}, downloadBytes)
	if err := info.WriteTar(s.context, pieces); err != nil {
		return err
	}
	return pieces.Flush()
}

// snapshotWriter sends pieces of an archive, each within the request timeout.
type snapshotWriter struct {
	x   *exchange
	out *stream
}

func (w snapshotWriter) Write(p []byte) (int, error) {
	w.x.conn.writeUntil(time.Now().Add(w.x.limits.RequestTimeout))
	if err := w.out.sendPiece(p); err != nil {
		return 0, err
	}
	return len(p), nil
}
