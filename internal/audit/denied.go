package audit

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// denialsMax is the largest number of different refusals in a minute. Further ones are
// counted under the address "other".
const denialsMax = 4096

// denial is what refused requests of one line have in common.
type denial struct {
	address, key string
	status       int
}

// tally is the number of requests of a denial.
type tally struct {
	count int
	first time.Time
}

// denials counts refused requests until their lines are written.
type denials struct {
	mu     sync.Mutex
	counts map[denial]*tally
	minute time.Time // that counts belongs to
}

// Denied counts a request that is refused before it is known what it does: without a valid
// key (status 401), or beyond the rate of a key (429). There is one line for each address,
// key and minute, with the number of requests.
func (l *Log) Denied(address, key string, status int) {
	now := l.now()
	d := &l.denied
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts, d.minute = map[denial]*tally{}, now.Truncate(time.Minute)
	}
	k := denial{address, key, status}
	if d.counts[k] == nil {
		if len(d.counts) >= denialsMax {
			k = denial{"other", "", status}
		}
		if d.counts[k] == nil {
			d.counts[k] = &tally{first: now}
		}
	}
	d.counts[k].count++
}

// minuteOver reports whether the minute of the counted requests has ended.
func (d *denials) minuteOver(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts != nil && !now.Truncate(time.Minute).Equal(d.minute)
}

// flushDenied writes the lines of the counted requests. Lines that cannot be written are
// counted as failures.
func (l *Log) flushDenied() {
	l.denied.mu.Lock()
	counts := l.denied.counts
	l.denied.counts = nil
	l.denied.mu.Unlock()
	keys := make([]denial, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b denial) int {
		return strings.Compare(a.address+"\x00"+a.key+http.StatusText(a.status), b.address+"\x00"+b.key+http.StatusText(b.status))
	})
	for _, k := range keys {
		e := &Entry{Operation: OperationDenied, Address: k.address, Key: k.key, Start: counts[k].first, Count: counts[k].count}
		_ = l.Add(e, k.status) // counted as a failure
	}
}
