package peer

import (
	"testing"
	"time"
)

func TestRetryWaits(t *testing.T) {
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}
	for i, w := range want {
		if got := RetryWait(i + 1); got != w*time.Second {
			t.Errorf("attempt %d waits %v, want %vs", i+1, got, int(w))
		}
	}
	if got := RetryWait(1 << 40); got != maxRetry {
		t.Error(got)
	}
}
