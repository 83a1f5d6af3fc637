package peer

import (
	"context"
	"testing"
	"time"
)

// TestClosedClientRunsNothing checks that an operation does not begin on a client that has
// ended.
func TestClosedClientRunsNothing(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	k := &Client{Target: "h:1", Timeout: time.Minute, ctx: ended}
	err := k.Within(t.Context(), func(context.Context) error {
		t.Error("the operation ran")
		return nil
	})
	if err == nil || err.Error() != "h:1: the client is closed" {
		t.Errorf("%v", err)
	}
}
