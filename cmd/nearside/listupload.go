package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"nearside/matcher"
)

// listRequests is the number of lists that are sent at the same time. The server stores
// them in one commit.
const listRequests = 16

// listUpload sends the lists of a complete export.
type listUpload struct {
	*system
	server *client
	path   string

	mu    sync.Mutex
	total summaryCounts
	err   error // the first error that ended the upload
}

func newListUpload(s *system, server *client, path string) *listUpload {
	return &listUpload{system: s, server: server, path: path}
}

// listLine is a line of the file of lists.
type listLine struct {
	number int64
	text   []byte
}

// sendFile sends all lists. After an error, the lists that the server has accepted stay.
func (u *listUpload) sendFile() error {
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	lines := make(chan listLine)
	var workers sync.WaitGroup
	for range listRequests {
		workers.Go(func() {
			for l := range lines {
				if err := u.sendLine(ctx, l); err != nil {
					u.fail(fmt.Errorf("%s: line %d: %w", u.path, l.number, err))
					cancel()
				}
			}
		})
	}
	err := eachLine(u.path, func(number int64, line []byte) error {
		select {
		case lines <- listLine{number, bytes.Clone(line)}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(lines)
	workers.Wait()
	if u.err != nil {
		err = u.err
	}
	if err != nil {
		return fmt.Errorf("%w\nimport stopped after %d lists; it can be repeated", err, u.total.Accepted)
	}
	if rest := u.total.Rejected - shownMax; rest > 0 {
		_, err = fmt.Fprintf(u.stderr, "nearside: %d more lists were rejected\n", rest)
	}
	return err
}

// fail records the first error.
func (u *listUpload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
}

// sendLine sends one list, and counts and prints whether the server accepted it. The error
// is one that ends the upload.
func (u *listUpload) sendLine(ctx context.Context, l listLine) error {
	var list movedList
	err := json.Unmarshal(l.text, &list)
	if err == nil {
		err = u.putList(ctx, list)
	}
	if err != nil && !isRejection(err) {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.total.Accepted++
		return nil
	}
	if u.total.Rejected++; u.total.Rejected <= shownMax {
		_, _ = fmt.Fprintf(u.stderr, "nearside: %s: line %d: %v\n", u.path, l.number, err) // the exit code reports it too
	}
	return nil
}

// listConflictError is an error about a list of the server that differs from the list of the
// export in a field that cannot be changed.
type listConflictError struct{ id, field, stored, moved string }

func (c listConflictError) Error() string {
	return fmt.Sprintf("list %s exists on the server with %s %s, which cannot be changed to %s; delete it there and import again", c.id, c.field, orNone(c.stored), orNone(c.moved))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// isRejection reports whether err concerns only one list.
func isRejection(err error) bool {
	if _, ok := errors.AsType[listConflictError](err); ok {
		return true
	}
	fault, ok := errors.AsType[*serverError](err)
	return ok && (fault.Code == matcher.CodeBadInput || fault.Code == matcher.CodeForbidden || fault.Code == matcher.CodeTooLarge)
}

// putList creates a list. If it exists, its user_data is replaced, and its other fields must
// be the same.
func (u *listUpload) putList(ctx context.Context, list movedList) error {
	_, err := u.server.call(ctx, http.MethodPost, lists.path, nil, list)
	if fault, ok := errors.AsType[*serverError](err); !ok || fault.Code != matcher.CodeListExists {
		return err
	}
	path := lists.path + "/" + list.ID
	data, err := u.server.call(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	var stored movedList
	if err := json.Unmarshal(data, &stored); err != nil {
		return fmt.Errorf("server: %s: %w", path, err)
	}
	switch {
	case stored.Account != list.Account:
		return listConflictError{list.ID, "account_id", stored.Account, list.Account}
	case stored.CreateTime != list.CreateTime:
		return listConflictError{list.ID, "create_time", stored.CreateTime, list.CreateTime}
	case stored.UserData == list.UserData:
		return nil
	}
	patch := map[string]*string{"user_data": &list.UserData}
	if list.UserData == "" {
		patch["user_data"] = nil // clears it
	}
	_, err = u.server.call(ctx, http.MethodPatch, path, nil, patch)
	return err
}
