package main

import (
	"fmt"

	"nearside/bench/gate"
	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/matcher/wire"
)

// proxyLoad compares v, which owns the lists, with a second server that forwards matches
// to v. It measures the time added to one small match, and the throughput of many
// matches over the main list. Both servers and the clients share the cores.
func (s *suite) proxyLoad(v *service, d *dataset, lists []string) error {
	front, err := s.startService("front", fmt.Sprintf("matchers: {remote: [{name: owner, url: %q, lists: [%s, %s]}]}\n", v.URL, lists[0], lists[1]))
	if err != nil {
		return err
	}
	defer front.Kill()
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // the report has only load runs without a proxy
	var added, ratios []float64
	for range 3 {
		var p50, rate [2]float64
		for i, server := range []*service{v, front} {
			small, err := s.loadRun(server, d, wire.JSON, 1, lists[1], smallList, load.Plan{Clients: 1})
			if err != nil {
				return err
			}
			many, err := s.loadRun(server, d, wire.JSON, 1, lists[0], d.n, load.Plan{Clients: 64})
			if err != nil {
				return err
			}
			p50[i], rate[i] = small.Latency.P50, many.PerSecond
		}
		added, ratios = append(added, p50[1]-p50[0]), append(ratios, rate[1]/rate[0])
	}
	s.measured["proxy-list-p50"] = gate.Measurement{Value: stat.Median(added), Note: fmt.Sprintf("%.3f ms", stat.Median(added))}
	s.recordBar("proxy-64", stat.Summarize(ratios), "")
	return front.Stop()
}
