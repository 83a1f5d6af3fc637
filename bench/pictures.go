package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"nearside/bench/chart"
)

// drawPictures draws charts of the figures into files whose paths begin with base. It
// returns the names of the files without the folder. Charts without figures are skipped.
func (r *report) drawPictures(base string) ([]string, error) {
	var names []string
	for _, p := range []struct {
		name  string
		chart chart.Chart
	}{
		{"throughput-over-clients", chart.Chart{Title: "HTTP: pairs compared per second", X: "clients", Y: "pairs/s", Series: r.byClients(func(l *loadFigure) map[string]float64 {
			return map[string]float64{"": l.PairsPerSecond}
		})}},
		{"latency-over-clients", chart.Chart{Title: "HTTP: latency", X: "clients", Y: "ms", Series: r.byClients(func(l *loadFigure) map[string]float64 {
			return map[string]float64{" p50": l.Latency.P50, " p99": l.Latency.P99}
		})}},
		{"throughput-over-rows", chart.Chart{Title: "Engine: pairs compared per second", X: "rows of 512 bytes", Y: "pairs/s", Series: r.byRows((*figure).pairsPerSecond)}},
		{"latency-over-rows", chart.Chart{Title: "Engine: time of a call", X: "rows of 512 bytes", Y: "ms", Series: r.byRows(func(f *figure) float64 { return f.Seconds * 1e3 })}},
	} {
		if len(p.chart.Series) == 0 {
			continue
		}
		var b bytes.Buffer
		if err := p.chart.Write(&b); err != nil {
			return nil, err
		}
		path := base + "-" + p.name + ".svg"
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return nil, err
		}
		names = append(names, filepath.Base(path))
	}
	return names, nil
}

// seriesSet collects points by the name of their series. The series have the order in
// which their names first occur.
type seriesSet struct {
	series []chart.Series
	seen   map[string]map[float64]bool // the x values of a series; later points with the same x are ignored
}

func (l *seriesSet) addPoint(name string, x, y float64) {
	if l.seen == nil {
		l.seen = map[string]map[float64]bool{}
	}
	if l.seen[name] == nil {
		l.seen[name] = map[float64]bool{}
		l.series = append(l.series, chart.Series{Name: name})
	}
	if l.seen[name][x] {
		return
	}
	l.seen[name][x] = true
	for i := range l.series {
		if l.series[i].Name == name {
			l.series[i].Points = append(l.series[i].Points, chart.Point{X: x, Y: y})
		}
	}
}

// byClients returns the series of the closed loop over the main set, by number of
// clients. It uses the last run with each number of clients.
func (r *report) byClients(valuesOf func(*loadFigure) map[string]float64) []chart.Series {
	var l seriesSet
	for i := len(r.Loads) - 1; i >= 0; i-- {
		f := &r.Loads[i]
		if f.Rate > 0 || f.Batch != 1 || f.Rows == smallList {
			continue
		}
		values := valuesOf(f)
		for _, suffix := range []string{"", " p50", " p99"} {
			if y, ok := values[suffix]; ok {
				l.addPoint(f.Format+suffix, float64(f.Clients), y)
			}
		}
	}
	return l.series
}

// byRows returns the series of the scaling section's sets with rows of 512 bytes.
func (r *report) byRows(valueOf func(*figure) float64) []chart.Series {
	var l seriesSet
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Section == "scaling" && f.Dim == 512 && f.Encoding == "uint8" {
			l.addPoint(fmt.Sprintf("%d queries, %d worker(s)", f.Queries, f.Workers), float64(f.Rows), valueOf(f))
		}
	}
	return l.series
}
