package remote

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// TestBreaker: after failures in a row, no request is sent until a health check
// succeeds.
func TestBreaker(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHealth(refuse(503, matcher.CodeUnavailable, "starting"))
		b.setHandler(refuse(500, matcher.CodeInternal, "broken"))
		for range failuresMax {
			wantUnavailable(t, b.matchOne(t.Context()), "broken")
		}
		if n := len(b.takeCalls()); n != failuresMax {
			t.Errorf("%d calls", n)
		}
		wantUnavailable(t, b.matchOne(t.Context()), "unhealthy: it answered 500: 1: broken")
		// Half open: the breaker would allow one request.
		time.Sleep(healthEvery/2 + time.Millisecond)
		wantUnavailable(t, b.matchOne(t.Context()), "unhealthy: it answered 500: 1: broken")
		time.Sleep(10 * healthEvery)
		wantUnavailable(t, b.matchOne(t.Context()), "unhealthy: it answered 503: 12050: starting")
		if n := len(b.takeCalls()); n != 0 {
			t.Errorf("%d calls while the breaker is open", n)
		}
		b.setHandler(matches(t, wire.JSON))
		b.setHealth(nil)
		time.Sleep(healthEvery)
		if err := b.matchOne(t.Context()); err != nil || len(b.takeCalls()) != 1 {
			t.Error(err)
		}
		// One line for each change between healthy and unhealthy.
		want := []string{
			`level=WARN msg="remote is unhealthy" remote=east error="it answered 500: 1: broken"`,
			`level=INFO msg="remote is healthy again" remote=east`,
		}
		if got := b.log.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q", got)
		}
	})
}

// TestHalfOfManyFail: the breaker also opens if half of the calls fail. Refusals do
// not count as failures.
func TestHalfOfManyFail(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		n := 0
		fails := refuse(500, matcher.CodeInternal, "broken")
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if n++; n%2 == 1 {
				fails(w, r)
				return
			}
			refuse(400, matcher.CodeBadInput, "limit: 5")(w, r)
		})
		for range 2 * callsMin {
			_ = b.matchOne(t.Context()) // counted below
		}
		// The first failure after callsMin calls opens the breaker.
		if n != callsMin+1 {
			t.Errorf("%d calls, want %d", n, callsMin+1)
		}
	})
}

// TestTimeoutsOpenTheBreaker: the breaker also opens if calls time out while health checks
// succeed.
func TestTimeoutsOpenTheBreaker(t *testing.T) {
	c := baseConfig()
	c.Timeout = breakerSpan / 4
	inBubble(t, c, func(t *testing.T, b *testbed) {
		b.setHandler(hangs)
		for range failuresMax {
			wantUnavailable(t, b.matchOne(t.Context()), "did not answer within 15s")
		}
		wantUnavailable(t, b.matchOne(t.Context()), "unhealthy: it did not answer in time")
		if n := len(b.takeCalls()); n != failuresMax {
			t.Errorf("%d calls", n)
		}
	})
}

// TestHealth: an unhealthy replica refuses sub-requests. An unhealthy owner accepts
// them.
func TestHealth(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHealth(hangs)
		time.Sleep(healthEvery + healthTimeout)
		synctest.Wait()
		if cost, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); ok || cost != 50 || reason != "unhealthy: it did not answer in time" {
			t.Errorf("%v %q %v", cost, reason, ok)
		}
		b.setHealth(nil)
		time.Sleep(healthTimeout + healthEvery) // a check may be in progress
		synctest.Wait()
		if cost, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); !ok || cost != 50 || reason != "" {
			t.Errorf("%v %q %v", cost, reason, ok)
		}
		if got := b.log.lines(); len(got) != 2 {
			t.Errorf("%q", got)
		}
		if _, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{Selection: selection{}}); ok || !strings.Contains(reason, "narrowed") {
			t.Errorf("%q", reason)
		}
	})
	c := baseConfig()
	c.Lists = []matcher.ID{face(1)}
	inBubble(t, c, func(t *testing.T, b *testbed) {
		b.setHandler(matches(t, wire.JSON))
		b.setHealth(refuse(503, matcher.CodeUnavailable, "starting"))
		time.Sleep(healthEvery)
		synctest.Wait()
		if _, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); !ok || reason != "owns the set" || b.Replica() {
			t.Errorf("%q", reason)
		}
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
		if _, _, ok := b.Cost(t.Context(), &matcher.SubRequest{Selection: selection{}}); ok {
			t.Error("the remote accepts a narrowed set")
		}
	})
}

// TestOutdatedHealthCheck: a check that began before the breaker opened does not
// make the remote healthy.
func TestOutdatedHealthCheck(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHealth(func(http.ResponseWriter, *http.Request) { time.Sleep(healthEvery / 10) })
		b.setHandler(refuse(500, matcher.CodeInternal, "broken"))
		time.Sleep(healthEvery)
		for range failuresMax {
			wantUnavailable(t, b.matchOne(t.Context()), "broken")
		}
		time.Sleep(healthEvery / 5)
		synctest.Wait()
		if _, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); ok || reason != "unhealthy: it answered 500: 1: broken" {
			t.Errorf("%q %v", reason, ok)
		}
	})
}

type selection struct{}

func (selection) Len() int { return 1 }

func (selection) Versions(matcher.DescriptorType) map[uint32]int { return nil }
