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

// TestBreaker: after failures in a row no request is sent; a health check
// finds out whether the remote is back, and who was away is asked again.
func TestBreaker(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		b.isWell(refuse(503, matcher.CodeUnavailable, "starting"))
		b.answers(refuse(500, matcher.CodeInternal, "broken"))
		for range failuresMax {
			wantUnavailable(t, b.one(t.Context()), "broken")
		}
		if n := len(b.took()); n != failuresMax {
			t.Errorf("%d calls", n)
		}
		wantUnavailable(t, b.one(t.Context()), "not well: it answers 500: 1: broken")
		// Half open: the breaker would let one request try.
		time.Sleep(healthEvery/2 + time.Millisecond)
		wantUnavailable(t, b.one(t.Context()), "not well: it answers 500: 1: broken")
		time.Sleep(10 * healthEvery)
		wantUnavailable(t, b.one(t.Context()), "not well: it answers 503: 12050: starting")
		if n := len(b.took()); n != 0 {
			t.Errorf("%d calls while it is left alone", n)
		}
		b.answers(matches(t, wire.JSON))
		b.isWell(nil)
		time.Sleep(healthEvery)
		if err := b.one(t.Context()); err != nil || len(b.took()) != 1 {
			t.Error(err)
		}
		// One line for each change, whatever else was found meanwhile.
		want := []string{
			`level=WARN msg="remote is not well" remote=east error="it answers 500: 1: broken"`,
			`level=INFO msg="remote answers again" remote=east`,
		}
		if got := b.log.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q", got)
		}
	})
}

// TestHalfOfManyFail: a remote that fails half of its calls is left alone too;
// refusals are no failures.
func TestHalfOfManyFail(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		n := 0
		fails := refuse(500, matcher.CodeInternal, "broken")
		b.answers(func(w http.ResponseWriter, r *http.Request) {
			if n++; n%2 == 1 {
				fails(w, r)
				return
			}
			refuse(400, matcher.CodeBadInput, "limit: 5")(w, r)
		})
		for range 2 * callsMin {
			_ = b.one(t.Context()) // counted below
		}
		// The first failure after callsMin calls is what makes it half.
		if n != callsMin+1 {
			t.Errorf("%d calls were made", n)
		}
	})
}

// TestSlowCounts: a remote that does not answer in time is left alone, too,
// however well it says it is.
func TestSlowCounts(t *testing.T) {
	c := base()
	c.Timeout = breakerSpan / 4
	in(t, c, func(t *testing.T, b *bench) {
		b.answers(hangs)
		for range failuresMax {
			wantUnavailable(t, b.one(t.Context()), "did not answer within 15s")
		}
		wantUnavailable(t, b.one(t.Context()), "not well: it does not answer in time")
		if n := len(b.took()); n != failuresMax {
			t.Errorf("%d calls", n)
		}
	})
}

// TestHealth: a replica that is found unwell leaves requests to others; an
// owner cannot, and is asked.
func TestHealth(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		b.isWell(hangs)
		time.Sleep(healthEvery + healthTimeout)
		synctest.Wait()
		if cost, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); ok || cost != 50 || reason != "not well: it does not answer in time" {
			t.Errorf("%v %q %v", cost, reason, ok)
		}
		b.isWell(nil)
		time.Sleep(healthTimeout + healthEvery) // one may be under way
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
	c := base()
	c.Lists = []matcher.ID{face(1)}
	in(t, c, func(t *testing.T, b *bench) {
		b.answers(matches(t, wire.JSON))
		b.isWell(refuse(503, matcher.CodeUnavailable, "starting"))
		time.Sleep(healthEvery)
		synctest.Wait()
		if _, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); !ok || reason != "owns the set" || b.Replica() {
			t.Errorf("%q", reason)
		}
		if err := b.one(t.Context()); err != nil {
			t.Error(err)
		}
		if _, _, ok := b.Cost(t.Context(), &matcher.SubRequest{Selection: selection{}}); ok {
			t.Error("it takes a narrowed set")
		}
	})
}

// TestHealthIsOld: a check that began before a remote was left alone does not
// say that it is well.
func TestHealthIsOld(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		b.isWell(func(http.ResponseWriter, *http.Request) { time.Sleep(healthEvery / 10) })
		b.answers(refuse(500, matcher.CodeInternal, "broken"))
		time.Sleep(healthEvery)
		for range failuresMax {
			wantUnavailable(t, b.one(t.Context()), "broken")
		}
		time.Sleep(healthEvery / 5)
		synctest.Wait()
		if _, reason, ok := b.Cost(t.Context(), &matcher.SubRequest{}); ok || reason != "not well: it answers 500: 1: broken" {
			t.Errorf("%q %v", reason, ok)
		}
	})
}

type selection struct{}

func (selection) Len() int { return 1 }
