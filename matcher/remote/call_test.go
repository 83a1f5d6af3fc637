package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// matchOne makes a call with one sub-request.
func (b *testbed) matchOne(ctx context.Context) error {
	return b.Match(ctx, pairs(references(1), setsOf(1, 1)))[0].Err
}

// TestRefusals: a fault of the client is passed on with its code. Any other error
// becomes CodeUnavailable.
func TestRefusals(t *testing.T) {
	check := func(handler http.HandlerFunc, code matcher.Code, detail string) {
		t.Helper()
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(handler)
			err := b.matchOne(t.Context())
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
	check(refuse(409, 41000, "x: y"), matcher.CodeBadInput, "41000: desc: x: y") // not in the contract
	for code, status := range map[matcher.Code]int{
		matcher.CodeSyntax: 400, matcher.CodeUnauthorized: 401, matcher.CodeForbidden: 403, matcher.CodeNoMatcher: 403, matcher.CodeNoRoute: 404,
		matcher.CodeMethod: 405, matcher.CodeNotAcceptable: 406, matcher.CodeMediaType: 415,
		matcher.CodeInternal: 500, matcher.CodeUnavailable: 503, matcher.CodeDeadline: 504, matcher.CodeBadInput: 408, matcher.CodeTooMany: 429, matcher.CodeTooLarge: 500,
	} {
		check(refuse(status, code, "no"), matcher.CodeUnavailable, "it answered "+strconv.Itoa(status)+": "+strconv.Itoa(int(code))+": no")
	}
	check(plain(404, "<html>no page"), matcher.CodeUnavailable, "it answered 404 Not Found")
	check(plain(400, `{}`), matcher.CodeUnavailable, "it answered 400 Bad Request")
	check(plain(502, ""), matcher.CodeUnavailable, "it answered 502 Bad Gateway")
	check(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	},
		matcher.CodeUnavailable, "it answered 307 Temporary Redirect")
}

// TestBrokenConnections: a call is repeated once if the connection breaks before an
// answer begins.
func TestBrokenConnections(t *testing.T) {
	const head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	check := func(start string, calls int, detail string) {
		t.Helper()
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(breaks(start))
			wantUnavailable(t, b.matchOne(t.Context()), detail)
			if n := len(b.takeCalls()); n != calls {
				t.Errorf("%d calls, want %d", n, calls)
			}
		})
	}
	check("", 2, "it did not answer: EOF")
	check(head, 1, "it did not answer: unexpected EOF")
	check(head+`[{"reference"`, 1, "it did not answer: unexpected EOF")

	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		n := 0
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				breaks("")(w, r)
				return
			}
			matches(t, wire.JSON)(w, r)
		})
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
		if calls := b.takeCalls(); len(calls) != 2 || !bytes.Equal(calls[0].body, calls[1].body) {
			t.Errorf("%d calls", len(calls))
		}
		b.setDown(true)
		b.client.CloseIdleConnections()
		wantUnavailable(t, b.matchOne(t.Context()), "it did not answer: connection refused")
	})
}

// TestLargeAnswer: the maximum size of an answer depends on the number of objects
// that were asked for.
func TestLargeAnswer(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		size := answerBytes + objectBytes
		b.setHandler(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusCreated, wire.JSON, bytes.Repeat([]byte(" "), size))
		})
		wantUnavailable(t, b.matchOne(t.Context()), "its answer is invalid") // it was read completely
		size++
		wantUnavailable(t, b.matchOne(t.Context()), "its answer is longer than 1114112 bytes")
	})
}

// TestTimeouts: the error says which deadline passed, and only the remote's own delays
// count as failures.
func TestTimeouts(t *testing.T) {
	c := baseConfig()
	c.Timeout = 3 * time.Second
	inBubble(t, c, func(t *testing.T, b *testbed) {
		b.setHandler(hangs)
		start := time.Now()
		wantUnavailable(t, b.matchOne(t.Context()), "did not answer within 3s")
		if took := time.Since(start); took != c.Timeout {
			t.Errorf("the call took %v", took)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := b.breaker.Counts()
		if err := b.matchOne(short); !errors.Is(err, context.DeadlineExceeded) || b.breaker.Counts().TotalFailures != before.TotalFailures+1 {
			t.Errorf("%v, %+v, then %+v", err, before, b.breaker.Counts())
		}

		// Cancelled calls and calls after the deadline do not count.
		before = b.breaker.Counts()
		cancelled, cancelCall := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.matchOne(cancelled) }()
		synctest.Wait()
		b.takeCalls()
		cancelCall()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := b.matchOne(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := b.matchOne(cancelled); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if after := b.breaker.Counts(); after.TotalFailures != before.TotalFailures || len(b.takeCalls()) != 0 {
			t.Errorf("%+v, then %+v", before, after)
		}
	})
}

// TestInflight: the calls in progress and the waiting calls are bounded.
func TestInflight(t *testing.T) {
	c := baseConfig()
	c.MaxInflight = 2
	inBubble(t, c, func(t *testing.T, b *testbed) {
		proceed := make(chan struct{})
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			matches(t, wire.JSON)(w, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		const all = 2 + 2*waitersPerCall
		done := make(chan error, all)
		if _, reason, ok := b.Cost(ctx, &matcher.SubRequest{}); !ok || reason != "" {
			t.Errorf("%q", reason)
		}
		for range all {
			go func() { done <- b.matchOne(ctx) }()
		}
		synctest.Wait()
		if n := len(b.takeCalls()); n != 2 {
			t.Errorf("%d calls in progress, want 2", n)
		}
		if _, reason, ok := b.Cost(ctx, &matcher.SubRequest{}); ok || reason != "max_inflight calls are already in progress" {
			t.Errorf("%q", reason)
		}
		long, end := context.WithTimeout(ctx, time.Hour)
		wantUnavailable(t, b.matchOne(long), "32 calls are already waiting for it")
		end()
		proceed <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(b.takeCalls()); n != 1 {
			t.Errorf("%d calls after one ended, want 1", n)
		}
		cancel() // ends the waiting calls
		for range all - 1 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		close(proceed)
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(b.takeCalls()); n != 1 || b.waiting.Load() != 0 || len(b.slots) != 0 {
			t.Errorf("%d calls, %d waiting, %d slots in use", n, b.waiting.Load(), len(b.slots))
		}
	})
}

// TestAddressesStaySecret: errors that clients see do not contain the address of a
// remote.
func TestAddressesStaySecret(t *testing.T) {
	const name, ip = "hidden.example", "192.0.2.7"
	address := &net.TCPAddr{IP: net.ParseIP(ip), Port: 5110}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Addr: address, Err: errors.New("connection refused")}, "connection refused"},
		{&net.OpError{Op: "read", Net: "tcp", Source: address, Addr: address, Err: errors.New("connection reset")}, "connection reset"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: name, Server: ip + ":53", IsNotFound: true}}, "no such host"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{name}}, Host: ip}}, "its certificate is for another name"},
	} {
		got := failure(t.Context(), &url.Error{Op: "Post", URL: "https://me:secret@" + name + "/", Err: c.err}).Error()
		if got != "it did not answer: "+c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestLongFaults: only the beginning of a remote's error text goes to clients and
// into the log.
func TestLongFaults(t *testing.T) {
	long := strings.Repeat("é", detailMax)
	for status, code := range map[int]matcher.Code{400: matcher.CodeBadInput, 409: 41000, 500: matcher.CodeInternal} {
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(refuse(status, code, "x"+long))
			err := b.matchOne(t.Context())
			if err == nil || len(err.Error()) > detailMax+100 || !utf8.ValidString(err.Error()) || !strings.HasSuffix(err.Error(), "éé...") {
				t.Errorf("%d: %.200v", status, err)
			}
		})
	}
}
