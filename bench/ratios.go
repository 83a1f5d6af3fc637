package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nearside/bench/gate"
)

// ratiosName is the file with the table of all machine classes, in the folder of results.
const ratiosName = "ratios.md"

// classResult is the result of a machine class that the table of ratios needs.
type classResult struct {
	class    string
	Machine  machine   `json:"machine"`
	Date     string    `json:"date"`
	Short    bool      `json:"short"`
	Sections string    `json:"sections"`
	Bars     []verdict `json:"bars"`
}

// writeRatios writes the table of the bars on all machine classes, from the results in
// the folder o.out.
func (o *options) writeRatios() error {
	known, err := readKnown(o.known)
	if err != nil {
		return err
	}
	results, err := readResults(o.out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, ratiosName), ratiosPage(gate.Bars, results, known), 0o644)
}

// readResults reads the results of full runs in a folder, in the order of their classes.
func readResults(dir string) ([]classResult, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var results []classResult
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r := classResult{class: strings.TrimSuffix(filepath.Base(path), ".json")}
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !r.Short && r.Sections == "" {
			results = append(results, r)
		}
	}
	slices.SortFunc(results, func(a, b classResult) int { return strings.Compare(a.class, b.class) })
	return results, nil
}

// ratiosPage returns the page with one row for each bar that some class measured. The
// figures are judged by today's bounds and known misses, which may differ from those of
// the day of the measurement.
func ratiosPage(bars []gate.Bar, results []classResult, known map[string]gate.Known) []byte {
	var b bytes.Buffer
	b.WriteString(`# The bars on every machine class

Written by ` + "`make bench`" + ` and ` + "`make bench-table`" + ` from the results of full runs in this folder. A figure is the median of a run. It is
compared with today's bound, also if the run is older: **bold** figures miss it, and *(known)* marks a miss that
[known-misses.md](../known-misses.md) explains for that class. A dash means that the bar was not measured: the class lacks the
instruction set, or the run is older than the bar.

`)
	header := []string{"bar", "workload", "figure", "bound"}
	about := []string{"| class | CPU | cores | date |\n|---|---|---|---|\n"}
	for i := range results {
		r := &results[i]
		header = append(header, fmt.Sprintf("[%s](%s.md)", r.class, r.class))
		about = append(about, fmt.Sprintf("| %s | %s (%s) | %d | %s |\n", r.class, r.Machine.CPU, strings.Join(r.Machine.Features, ", "), r.Machine.Cores, r.Date))
	}
	b.WriteString(strings.Join(about, "") + "\n| " + strings.Join(header, " | ") + " |\n" + strings.Repeat("|---", len(header)) + "|\n")
	for _, bar := range bars {
		row, measured := []string{bar.ID, bar.Workload, bar.Figure, bar.BoundText()}, false
		for i := range results {
			cell := results[i].cell(bar, known)
			measured = measured || cell != "-"
			row = append(row, cell)
		}
		if measured {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		}
	}
	b.WriteString("\n")
	writeRecorded(&b)
	return b.Bytes()
}

// cell returns the figure of a bar on the class of r.
func (r *classResult) cell(bar gate.Bar, known map[string]gate.Known) string {
	i := slices.IndexFunc(r.Bars, func(v verdict) bool { return v.ID == bar.ID })
	if i < 0 || r.Bars[i].Skipped != "" || r.Bars[i].Note == gate.NotMeasured {
		return "-"
	}
	m := r.Bars[i].Measurement
	m.Low, m.High = 0, 0
	v := gate.Judge([]gate.Bar{bar}, map[string]gate.Measurement{bar.ID: m}, known, r.class)[0]
	switch v.Status {
	case gate.Miss:
		return "**" + v.MeasuredText() + "**"
	case gate.KnownMiss:
		return v.MeasuredText() + " *(known)*"
	}
	return v.MeasuredText()
}
