package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/bench/gate"
	"nearside/internal/testkit"
)

// TestRatios writes results of four runs and compares the table, line by line.
func TestRatios(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"intel-x-8-cores": `{"machine": {"cpu": "Xeon", "cores": 8, "features": ["AVX2", "AMXINT8"]}, "date": "2026-06-01", "bars": [
			{"id": "rate", "value": 0.5, "low": 0.4, "high": 0.6, "status": "pass"}, {"id": "tile", "value": 2.3, "status": "pass"},
			{"id": "start", "skipped": "no server", "status": "skipped"}, {"id": "gone", "value": 1, "status": "pass"}]}`,
		"amd-y-2-cores": `{"machine": {"cpu": "EPYC", "cores": 2, "features": ["AVX2"]}, "date": "2026-05-01", "bars": [
			{"id": "rate", "value": 0.7, "status": "pass"}, {"id": "tile", "skipped": "no amx", "status": "skipped"},
			{"id": "start", "value": 0, "status": "MISS", "note": "not measured"}]}`,
		"amd-y-2-cores-short": `{"short": true, "bars": [{"id": "rate", "value": 9}]}`,
		"amd-y-2-cores-part":  `{"sections": "engine", "bars": [{"id": "rate", "value": 9}]}`,
	} {
		testkit.Check(t, os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600))
	}
	bars := []gate.Bar{
		{ID: "rate", Workload: "scan", Figure: "x probe", Bound: 0.8},
		{ID: "tile", Workload: "tiles", Figure: "x peak", Bound: 2},
		{ID: "start", Workload: "restart", Figure: "s", AtMost: true, Bound: 1},
	}
	known := map[string]gate.Known{"rate": {Measured: map[string]float64{"amd-y-2-cores": 0.7}, Cause: "c", Tried: "t"}}
	page := string(ratiosPage(bars, testkit.Must(readResults(dir)), known))
	want := `| class | CPU | cores | date |
|---|---|---|---|
| amd-y-2-cores | EPYC (AVX2) | 2 | 2026-05-01 |
| intel-x-8-cores | Xeon (AVX2, AMXINT8) | 8 | 2026-06-01 |

| bar | workload | figure | bound | [amd-y-2-cores](amd-y-2-cores.md) | [intel-x-8-cores](intel-x-8-cores.md) |
|---|---|---|---|---|---|
| rate | scan | x probe | >= 0.8 | 0.7 *(known)* | **0.5** |
| tile | tiles | x peak | >= 2 | - | 2.3 |

## Recorded`
	if !strings.Contains(page, want) {
		t.Errorf("page:\n%s\nwant in it:\n%s", page, want)
	}
	for i := range recordedPeers {
		if !strings.Contains(page, recordedPeers[i].peer+" (recorded)") {
			t.Errorf("%s is not marked as recorded", recordedPeers[i].peer)
		}
	}
	testkit.Check(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte("{"), 0o600))
	if _, err := readResults(dir); err == nil || !strings.Contains(err.Error(), "bad.json") {
		t.Errorf("a damaged file: error %v", err)
	}
}

// TestRatiosAreCurrent checks the table in the repository: its figures come from the
// results beside it, and are judged by the current bounds and known misses.
func TestRatiosAreCurrent(t *testing.T) {
	known := testkit.Must(readKnown("known-misses.md"))
	want := ratiosPage(gate.Bars, testkit.Must(readResults("results")), known)
	if got := testkit.Must(os.ReadFile(filepath.Join("results", ratiosName))); string(got) != string(want) {
		t.Errorf("results/%s is out of date; run make bench-table", ratiosName)
	}
}
