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

// TestAddressesStayHere: clients are not told where a remote is, however it
// cannot be reached.
func TestAddressesStayHere(t *testing.T) {
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
		if got != "it does not answer: "+c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestLongFaults: of what a remote says of a fault, only the beginning goes to
// clients and into the log.
func TestLongFaults(t *testing.T) {
	long := strings.Repeat("é", detailMax)
	for status, code := range map[int]matcher.Code{400: matcher.CodeBadInput, 409: 41000, 500: matcher.CodeInternal} {
		in(t, base(), func(t *testing.T, b *bench) {
			b.answers(refuse(status, code, "x"+long))
			err := b.one(t.Context())
			if err == nil || len(err.Error()) > detailMax+100 || !utf8.ValidString(err.Error()) || !strings.HasSuffix(err.Error(), "éé...") {
				t.Errorf("%d: %.200v", status, err)
			}
		})
	}
}
