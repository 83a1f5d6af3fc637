package server_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nearside/internal/oracle"
	"nearside/internal/testkit"
)

// oracleSteps returns how many requests all topologies get together.
func oracleSteps() int {
	if text := os.Getenv("NEARSIDE_ORACLE_STEPS"); text != "" {
		return testkit.Must(strconv.Atoi(text))
	}
	if testing.Short() || testkit.RaceEnabled {
		return 2000
	}
	return 10_000
}

// oracleRun is a run of TestOracle against one topology.
type oracleRun struct {
	*oracle.World
	*service // gets the current request
	services []*service
	seed     uint64
	step     int
}

// TestOracle sends random reads and writes to servers and compares all answers
// with those of the oracle.
//
// NEARSIDE_ORACLE_SEED and NEARSIDE_ORACLE_STEPS choose another run. With
// NEARSIDE_ORACLE_ONLY=n, only the writes before step n and step n are sent.
func TestOracle(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("NEARSIDE_ORACLE_SEED"); text != "" {
		seed = testkit.Must(strconv.ParseUint(text, 10, 64))
	}
	only, _ := strconv.Atoi(os.Getenv("NEARSIDE_ORACLE_ONLY"))
	steps := oracleSteps()
	var mu sync.Mutex
	seen := map[string]int{}
	for _, topology := range oracle.Topologies {
		t.Run(topology.Name, func(t *testing.T) {
			t.Parallel()
			r := openRun(t, seed, topology)
			for r.step = 1; r.step <= steps*topology.Percent/100; r.step++ {
				r.Step(seed, r.step)
				q := r.Next()
				if only == 0 || q.Writes || r.step == only {
					r.ask(q)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for kind, n := range r.Seen {
				seen[kind] += n
			}
		})
	}
	t.Cleanup(func() { // after all subtests
		if only == 0 && !t.Failed() {
			for _, message := range oracle.Uncovered(seen, steps) {
				if seed == 1 {
					t.Error(message)
				} else {
					t.Log(message) // another seed may make a rare request less often
				}
			}
		}
	})
}

// openRun starts the servers of a topology and fills them.
func openRun(t *testing.T, seed uint64, topology oracle.Topology) *oracleRun {
	w := oracle.New(seed, topology)
	r := &oracleRun{World: w, services: openServers(t, w), seed: seed}
	r.service = r.services[0]
	w.Fill(r.ask)
	return r
}

// ask sends a request and compares the answer with that of the oracle.
func (r *oracleRun) ask(q *oracle.Request) {
	r.Helper()
	before := r.Failed()
	want := q.Answer()
	packIn, packOut := q.Body != nil && r.Chance(0.3), r.Chance(0.3)
	if q.Lines != nil || q.Path == "/1/export" || q.Path == "/1/import" {
		packOut = false
	}
	r.service = r.services[q.Server]
	r.compare(q, want, packIn, packOut)
	if strings.HasPrefix(q.Path, "/1/matcher") && q.Path != "/1/matcher/raw" && want.Codes == nil {
		r.compareRowLines(q, want)
	}
	if q.Writes && r.Topology.Copies {
		r.service = r.services[1]
		r.compare(q, want, packIn, packOut)
	}
	if !q.Writes && r.step%10 == 0 && q.Path != "/1/export" {
		r.compare(q, want, q.Body != nil && !packIn, !packOut)
		r.Seen["in both codecs"]++
	}
	if r.Failed() && !before {
		r.report(q)
	}
	r.Count(q, want)
}
