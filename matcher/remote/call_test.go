package remote

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// one makes a call with one sub-request.
func (b *bench) one(ctx context.Context) error {
	return b.Match(ctx, pairs(some(1), setsOf(1, 1)))[0].Err
}

// TestRefusals: what the client did wrong is passed on with its code; the rest
// says that the remote, or the way it was set up, is at fault.
func TestRefusals(t *testing.T) {
	check := func(handler http.HandlerFunc, code matcher.Code, detail string) {
		t.Helper()
		in(t, base(), func(t *testing.T, b *bench) {
			b.answers(handler)
			err := b.one(t.Context())
			if err == nil || matcher.CodeOf(err) != code || err.Error() != "remote east: "+detail {
				t.Errorf("%v; want %d: %s", err, code, detail)
			}
		})
	}
	plain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, status, wire.JSON, []byte(body)) }
	}
	for code, status := range map[matcher.Code]int{
		matcher.CodeBadInput: 400, matcher.CodeUnknownVersion: 400, matcher.CodeAccountConflict: 400, matcher.CodeWrongVersion: 400, matcher.CodeCrossLimit: 400,
		matcher.CodeTooMany: 400, matcher.CodeNoDescriptor: 400, matcher.CodeListNotFound: 404, matcher.CodeFaceNotFound: 404, matcher.CodeTooLarge: 413,
	} {
		check(refuse(status, code, "limit: 5"), code, "limit: 5")
	}
	check(refuse(409, 41000, "x: y"), matcher.CodeBadInput, "41000: what it is: x: y") // not of the contract
	for code, status := range map[matcher.Code]int{
		matcher.CodeSyntax: 400, matcher.CodeUnauthorized: 401, matcher.CodeForbidden: 403, matcher.CodeNoMatcher: 403, matcher.CodeNoRoute: 404,
		matcher.CodeMethod: 405, matcher.CodeNotAcceptable: 406, matcher.CodeMediaType: 415,
		matcher.CodeInternal: 500, matcher.CodeUnavailable: 503, matcher.CodeDeadline: 504, matcher.CodeBadInput: 408, matcher.CodeTooMany: 429, matcher.CodeTooLarge: 500,
	} {
		check(refuse(status, code, "no"), matcher.CodeUnavailable, "it answers "+strconv.Itoa(status)+": "+strconv.Itoa(int(code))+": no")
	}
	check(plain(404, "<html>not here"), matcher.CodeUnavailable, "it answers 404 Not Found")
	check(plain(400, `{}`), matcher.CodeUnavailable, "it answers 400 Bad Request")
	check(plain(502, ""), matcher.CodeUnavailable, "it answers 502 Bad Gateway")
	check(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	},
		matcher.CodeUnavailable, "it answers 307 Temporary Redirect")
}

// TestBrokenConnections: a call is made once more when no answer began.
func TestBrokenConnections(t *testing.T) {
	const head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	check := func(start string, calls int, detail string) {
		t.Helper()
		in(t, base(), func(t *testing.T, b *bench) {
			b.answers(breaks(start))
			wantUnavailable(t, b.one(t.Context()), detail)
			if n := len(b.took()); n != calls {
				t.Errorf("%d calls, want %d", n, calls)
			}
		})
	}
	check("", 2, "it does not answer: EOF")
	check(head, 1, "it does not answer: unexpected EOF")
	check(head+`[{"reference"`, 1, "it does not answer: unexpected EOF")

	in(t, base(), func(t *testing.T, b *bench) {
		n := 0
		b.answers(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				breaks("")(w, r)
				return
			}
			matches(t, wire.JSON)(w, r)
		})
		if err := b.one(t.Context()); err != nil {
			t.Error(err)
		}
		if calls := b.took(); len(calls) != 2 || !bytes.Equal(calls[0].body, calls[1].body) {
			t.Errorf("%d calls", len(calls))
		}
		b.refuses(true)
		b.client.CloseIdleConnections()
		wantUnavailable(t, b.one(t.Context()), "it does not answer: connection refused")
	})
}

// TestLargeAnswer: an answer may be as large as what was asked for could be.
func TestLargeAnswer(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		size := answerBytes + objectBytes
		b.answers(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusCreated, wire.JSON, bytes.Repeat([]byte(" "), size))
		})
		wantUnavailable(t, b.one(t.Context()), "makes no sense") // it was read
		size++
		wantUnavailable(t, b.one(t.Context()), "its answer is longer than 1114112 bytes")
	})
}

// TestTimes: who gave up says how it is called, and whether the remote is to
// blame.
func TestTimes(t *testing.T) {
	c := base()
	c.Timeout = 3 * time.Second
	in(t, c, func(t *testing.T, b *bench) {
		b.answers(hangs)
		start := time.Now()
		wantUnavailable(t, b.one(t.Context()), "did not answer within 3s")
		if took := time.Since(start); took != c.Timeout {
			t.Errorf("it took %v", took)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := b.breaker.Counts()
		if err := b.one(short); !errors.Is(err, context.DeadlineExceeded) || b.breaker.Counts().TotalFailures != before.TotalFailures+1 {
			t.Errorf("%v, %+v, then %+v", err, before, b.breaker.Counts())
		}

		// Neither what was cancelled nor what came too late counts.
		before = b.breaker.Counts()
		gone, goAway := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.one(gone) }()
		synctest.Wait()
		b.took()
		goAway()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := b.one(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := b.one(gone); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if after := b.breaker.Counts(); after.TotalFailures != before.TotalFailures || len(b.took()) != 0 {
			t.Errorf("%+v, then %+v", before, after)
		}
	})
}

// TestInflight: so many calls at once and no more; so many may wait.
func TestInflight(t *testing.T) {
	c := base()
	c.MaxInflight = 2
	in(t, c, func(t *testing.T, b *bench) {
		goOn := make(chan struct{})
		b.answers(func(w http.ResponseWriter, r *http.Request) {
			<-goOn
			matches(t, wire.JSON)(w, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		const all = 2 + 2*waitersPerCall
		done := make(chan error, all)
		if _, reason, ok := b.Cost(ctx, &matcher.SubRequest{}); !ok || reason != "" {
			t.Errorf("%q", reason)
		}
		for range all {
			go func() { done <- b.one(ctx) }()
		}
		synctest.Wait()
		if n := len(b.took()); n != 2 {
			t.Errorf("%d calls at once", n)
		}
		if _, reason, ok := b.Cost(ctx, &matcher.SubRequest{}); ok || reason != "has all the calls that it may have at once" {
			t.Errorf("%q", reason)
		}
		long, end := context.WithTimeout(ctx, time.Hour)
		wantUnavailable(t, b.one(long), "32 calls wait for it already")
		end()
		goOn <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(b.took()); n != 1 {
			t.Errorf("%d calls in place of one", n)
		}
		cancel() // who waits does not wait any more
		for range all - 1 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		close(goOn)
		if err := b.one(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(b.took()); n != 1 || b.waiting.Load() != 0 || len(b.places) != 0 {
			t.Errorf("%d calls, %d wait, %d under way", n, b.waiting.Load(), len(b.places))
		}
	})
}

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
		// With the health check of the beginning, half of callsMin failed.
		if n != callsMin-1 {
			t.Errorf("%d calls were made", n)
		}
	})
}

// TestSlowCounts: a remote that does not answer in time is left alone, too.
func TestSlowCounts(t *testing.T) {
	c := base()
	c.Timeout = 2 * breakerSpan
	in(t, c, func(t *testing.T, b *bench) {
		b.answers(hangs)
		time.Sleep(healthEvery / 2) // no health check succeeds in between
		done := make(chan error)
		for range failuresMax {
			go func() { done <- b.one(t.Context()) }()
		}
		for range failuresMax {
			wantUnavailable(t, <-done, "did not answer within 20s")
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

type selection struct{}

func (selection) Len() int { return 1 }
