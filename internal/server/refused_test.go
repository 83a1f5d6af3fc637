package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// TestRefusals checks that a refusal is valid for a moment, only for similar
// requests, and only because of overload.
func TestRefusals(t *testing.T) {
	clock := time.Unix(1000, 0)
	r := newRefusals()
	r.now = func() time.Time { return clock }
	x := &exchange{route: "POST:/matcher/faces"}
	key := func(x *exchange, body string) refusedKey {
		t.Helper()
		k, ok := r.key(x, []byte(body))
		if !ok {
			t.Fatalf("no key for %.100q", body)
		}
		return k
	}
	const faces, list = `"candidates":[{"filters":{"origin":"faces"}}]`, `"candidates":[{"filters":{"origin":"faces","list_id":"x"}}]`
	references := func(n int) string {
		return `"references":[` + strings.Repeat(`{"type":"raw_descriptor","id":"1"},`, n) + `]`
	}
	first := key(x, `{`+references(300)+`,`+faces+`}`)
	overloaded := matcher.Overloaded(time.Second, "too much")
	r.remember(first, matcher.Errorf(matcher.CodeUnavailable, "a remote is gone"), clock.Add(2*time.Second))
	r.remember(first, errors.New("not a *matcher.Error"), clock.Add(2*time.Second))
	if err := r.check(first); err != nil {
		t.Fatalf("%v is remembered, but it is not an overload", err)
	}
	r.remember(first, overloaded, clock.Add(2*time.Second))
	account := matcher.ID{1}
	for name, other := range map[string]refusedKey{
		"another account": key(&exchange{route: x.route, account: &account}, `{`+references(300)+`,`+faces+`}`),
		"another route":   key(&exchange{route: "POST:/matcher/bodies"}, `{`+references(300)+`,`+faces+`}`),
		"other rows":      key(x, `{`+references(300)+`,`+list+`}`),
		"fewer":           key(x, `{`+references(150)+`,`+faces+`}`),
		"more":            key(x, `{`+references(500)+`,`+faces+`}`),
	} {
		if err := r.check(other); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.check(key(x, `{`+strings.ToUpper(references(300))+`,`+faces+`}`)); !errors.Is(err, error(overloaded)) {
		t.Errorf("a similar request: %v, want %v", err, overloaded)
	}
	clock = clock.Add(20 * time.Millisecond) // a hundredth of the remaining time of the request
	if err := r.check(first); err != nil {
		t.Errorf("the refusal is still valid: %v", err)
	}
	front := key(x, `{`+faces+`,`+references(300)+`}`)
	r.remember(front, overloaded, clock.Add(2*time.Second))
	if err := r.check(key(x, `{`+faces+`,`+references(301)+`}`)); err == nil {
		t.Error("candidates before the references are not found")
	}
	if _, ok := r.key(x, []byte(`{`+references(300)+`,"candidates":[`+strings.Repeat(" ", refusedText)+`],"x":1}`)); ok {
		t.Error("candidates in the middle are found")
	}
	for i := range 3 * refusedMax {
		r.remember(refusedKey{size: i}, overloaded, clock.Add(time.Second))
	}
	if n := len(r.last); n > refusedMax {
		t.Errorf("%d refusals are remembered", n)
	}
}

// TestBudgetRefuses checks that a request is refused at once when it would wait too
// long at the pace at which room was given back. If the pace is unknown, it waits.
func TestBudgetRefuses(t *testing.T) {
	b := newBudget("bodies", 100, 100)
	holder, favored := b.newClaim(nil), b.newClaim(nil)
	for _, c := range []*claim{holder, favored} {
		if err := c.grow(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	deadline, cancel := context.WithTimeout(ended, time.Minute)
	defer cancel()
	if err := b.newClaim(nil).grow(deadline, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("without a pace: %v", err)
	}
	b.pace = returnPace{from: time.Now(), previous: 1} // at most one byte per second
	err := b.newClaim(nil).grow(deadline, 50)
	if e, ok := errors.AsType[*matcher.Error](err); !ok || e.Code != matcher.CodeUnavailable || e.RetryAfter < 45*time.Second || b.waiting.Len() != 0 {
		t.Errorf("50 bytes at 1 a second within a minute: %v", err)
	}
	b.pace = returnPace{from: time.Now(), previous: 1000}
	if err := b.newClaim(nil).grow(deadline, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("50 bytes at 1,000 a second: %v", err)
	}
	b.pace = returnPace{from: time.Now(), previous: 1}
	favored.shrink(50)
	if err := favored.grow(deadline, 50); err != nil {
		t.Errorf("a claim that already holds bytes: %v", err)
	}
	holder.shrink(0)
	favored.shrink(0)
	if b.queued != 0 || b.used != 0 {
		t.Errorf("%d bytes are queued, %d used", b.queued, b.used)
	}
}

// TestReturnPace checks that the pace is that of the last one to two seconds.
func TestReturnPace(t *testing.T) {
	begin := time.Unix(1000, 0)
	var p returnPace
	for i := range 100 { // 1,000 bytes a second
		p.addBytes(10, begin.Add(time.Duration(i)*10*time.Millisecond))
	}
	for after, want := range map[time.Duration]float64{999 * time.Millisecond: 0, time.Second: 1000, 1500 * time.Millisecond: 1000 / 1.5, 3 * time.Second: 0} {
		copied := p
		if got := copied.perSecond(begin.Add(after)); got < want*0.99 || got > want*1.01 {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
}
