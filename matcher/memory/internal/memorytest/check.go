package memorytest

import (
	"slices"
	"testing"

	"nearside/matcher"
)

// Expected is the oracle's answer to a sub-request.
type Expected struct {
	Rows              []Answer
	Count             int // all rows, or groups, that the rows are cut from
	Selected, Scanned int // rows that pass the filter, and rows that also have the version
}

// Expect returns the oracle's answers to sub-requests.
func (o *Oracle) Expect(subs []matcher.SubRequest) []Expected {
	all := make([]Expected, len(subs))
	for i := range subs {
		all[i].Rows, all[i].Selected, all[i].Scanned = o.Answer(&subs[i])
		if subs[i].Candidates.Count {
			all[i].Count = o.Count(&subs[i])
		}
	}
	return all
}

// CheckResults compares the results of sub-requests with the answers of the oracle.
func CheckResults(t testing.TB, subs []matcher.SubRequest, results []matcher.Result, want []Expected) {
	t.Helper()
	for i, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Scan.RowsSelected != want[i].Selected || r.Scan.RowsScanned != want[i].Scanned {
			t.Fatalf("sub-request %d: scan %+v, want %d selected, %d scanned", i, r.Scan, want[i].Selected, want[i].Scanned)
		}
		if r.Count != want[i].Count {
			t.Fatalf("sub-request %d, %+v: counted %d, want %d", i, *subs[i].Candidates, r.Count, want[i].Count)
		}
		if got := AnswersOf(r.Matches); !slices.Equal(got, want[i].Rows) {
			t.Fatalf("sub-request %d, %+v:\n got %v\nwant %v", i, *subs[i].Candidates, got, want[i].Rows)
		}
	}
}
