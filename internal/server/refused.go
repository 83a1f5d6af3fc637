package server

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
	"time"

	"nearside/matcher"
)

const (
	// A refusal is valid for 1/refusedShare of the remaining time of the refused
	// request, but at most for refusedFor. The queue hardly shrinks in this time.
	refusedShare = 100
	refusedFor   = 50 * time.Millisecond
	// refusedMax bounds the refusals that are remembered.
	refusedMax = 256
	// refusedText is how many bytes at each end of a body are searched for its
	// candidates.
	refusedText = 4 << 10
)

// refusals remembers match requests that were refused a moment ago because they
// could not be answered in time. Similar requests are refused before they are
// decoded. Otherwise an overloaded server would spend most of its time on decoding
// requests that it refuses.
type refusals struct {
	seed maphash.Seed
	now  func() time.Time

	mu   sync.Mutex
	last map[refusedKey]refused
}

// refusedKey is equal for similar requests: their candidate sets have the same text
// and their sizes are about the same. So they compare about as many references with
// the same rows.
type refusedKey struct {
	candidates uint64
	size       int
	account    matcher.ID
	caller     string // the name of the key
	route      string
}

type refused struct {
	until time.Time
	err   error
}

func newRefusals() *refusals {
	return &refusals{seed: maphash.MakeSeed(), now: time.Now, last: map[refusedKey]refused{}}
}

// key returns the key of a request. ok is false if the candidates are not found near
// the ends of the body.
func (r *refusals) key(x *exchange, body []byte) (k refusedKey, ok bool) {
	text := body[max(0, len(body)-refusedText):]
	if at := bytes.Index(text, []byte("candidates")); at >= 0 {
		text = text[at:]
	} else {
		text = body[:min(len(body), refusedText)]
		from, to := bytes.Index(text, []byte("candidates")), bytes.Index(text, []byte("references"))
		if from < 0 || to < from {
			return k, false
		}
		text = text[from:to]
	}
	n := bits.Len(uint(len(body))) // sizes of about the same value have the same number of bits, and the same second-highest bit
	k = refusedKey{candidates: maphash.Bytes(r.seed, text), size: n<<1 | len(body)>>max(0, n-2)&1, caller: x.keyName(), route: x.route}
	if x.account != nil {
		k.account = *x.account
	}
	return k, true
}

// check returns the error of a similar request that was refused a moment ago.
func (r *refusals) check(k refusedKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[k]; ok && r.now().Before(last.until) {
		return last.err
	}
	return nil
}

// remember keeps err if it is a refusal because of overload. deadline is that of the
// request.
func (r *refusals) remember(k refusedKey, err error, deadline time.Time) {
	if e, ok := errors.AsType[*matcher.Error](err); !ok || e.Code != matcher.CodeUnavailable || e.RetryAfter == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.last) >= refusedMax {
		clear(r.last) // requests that are still refused are remembered again
	}
	r.last[k] = refused{now.Add(min(deadline.Sub(now)/refusedShare, refusedFor)), err}
}
