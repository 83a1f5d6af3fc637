package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nearside/bench/gate"
)

// report is the result of a run of the suite, as JSON.
type report struct {
	Machine     machine         `json:"machine"`
	Date        string          `json:"date"`
	Seconds     int             `json:"seconds"`
	Short       bool            `json:"short"`
	Sections    string          `json:"sections,omitempty"` // the value of -only
	Peers       []string        `json:"peers"`
	Limits      []limitFigure   `json:"limits"`
	Figures     []figure        `json:"figures"`
	Events      []eventFigure   `json:"events"`
	Comparisons []comparison    `json:"comparisons"`
	Loads       []loadFigure    `json:"loads"`
	Service     []serviceFigure `json:"service"`
	Bars        []verdict       `json:"bars"`
}

// verdict is the verdict of a bar as JSON.
type verdict struct {
	ID     string      `json:"id"`
	Bound  float64     `json:"bound"`
	AtMost bool        `json:"at_most"`
	Status gate.Status `json:"status"`
	gate.Measurement
}

// writeReport writes all results to the folder of results.
func (s *suite) writeReport(verdicts []gate.Verdict) error {
	r := report{
		Machine: describeMachine(), Date: s.start.UTC().Format(time.DateOnly), Seconds: int(time.Since(s.start).Seconds()), Short: s.short, Sections: s.only,
		Peers: s.peerNotes, Limits: s.limitFigures, Figures: s.figures, Events: s.events, Comparisons: s.comparisons, Loads: s.runs, Service: s.service,
	}
	for _, v := range verdicts {
		r.Bars = append(r.Bars, verdict{v.ID, v.Bound, v.AtMost, v.Status, v.Measurement})
	}
	r.Machine.Load = s.loadAverage
	text, err := json.MarshalIndent(&r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	name := s.class
	if s.short {
		name += "-short"
	}
	if s.only != "" {
		name += "-part"
	}
	base := filepath.Join(s.out, name)
	pictures, err := r.drawPictures(base)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	r.writePage(&page, pictures)
	page.WriteString("\n## Bars\n\n")
	if err := gate.WriteMarkdown(&page, verdicts); err != nil {
		return err
	}
	s.logf("results: %s.md", base)
	return errors.Join(os.WriteFile(base+".json", append(text, '\n'), 0o644), os.WriteFile(base+".md", page.Bytes(), 0o644))
}

// writePage writes the Markdown page, except the bars.
func (r *report) writePage(b *bytes.Buffer, pictures []string) {
	m := &r.Machine
	fmt.Fprintf(b, "# %s: %s, %d cores\n\n", m.class(), m.CPU, m.Cores)
	fmt.Fprintf(b, "Written by `make bench` on %s in %d s. The speed of shared machines drifts, so compare ratios: each is the median of runs that alternate.\n", r.Date, r.Seconds)
	if r.Short {
		b.WriteString("\n**This is a short run, with fewer rows and rounds than the bars require.**\n")
	}
	if r.Sections != "" {
		fmt.Fprintf(b, "\n**Only these sections were run: %s.**\n", r.Sections)
	}
	b.WriteString("\n| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"CPU", fmt.Sprintf("%s, %d cores (%s)", m.CPU, m.Cores, strings.Join(m.Features, ", "))},
		{"caches", m.Caches},
		{"memory", fmt.Sprintf("%d MB", m.MemoryMB)},
		{"system", m.Kernel},
		{"transparent huge pages", m.HugePages},
		{"Go", m.Go},
		{"load before the run", m.Load},
		{"peers", strings.Join(r.Peers, "; ")},
	} {
		fmt.Fprintf(b, "| %s | %s |\n", row[0], row[1])
	}
	for _, p := range pictures {
		fmt.Fprintf(b, "\n![%s](%s)\n", strings.TrimSuffix(p, ".svg"), p)
	}
	r.writeTables(b)
}

// writeTables writes a section for each kind of figure that was measured.
func (r *report) writeTables(b *bytes.Buffer) {
	writeTable(b, "Limits of the machine", "", "| kernel | threads | stream GB/s | uint8 G products/s | float32 G products/s |", r.Limits, func(f *limitFigure) string {
		return fmt.Sprintf("| %s | %d | %.1f | %.1f | %.1f |", f.Kernel, f.Threads, f.StreamGB, f.U8, f.F32)
	})
	const header = "| data | rows | dimensions | workload | kernel | workers | ms | M pairs/s | of the limit |"
	for _, section := range []struct{ name, title, about string }{
		{"kernels", "Kernels", "One row-major query, blocks of 256 KiB."},
		{"engine", "Engine", "The local matcher through its API, including the selection of the top k. Of the limit: the minimum time that memory or arithmetic needs, whichever is longer, divided by the measured time; with quartiles."},
		{"scaling", "Scaling", "How cost grows with rows, dimensions and workers."},
	} {
		var figures []figure
		for _, f := range r.Figures {
			if f.Section == section.name {
				figures = append(figures, f)
			}
		}
		writeTable(b, section.title, section.about, header, figures, func(f *figure) string {
			return fmt.Sprintf("| %s | %d | %d %s | %s | %s | %d | %.3f | %.1f | %.2f (%.2f..%.2f) |", f.Data, f.Rows, f.Dim, f.Encoding, f.What, f.Kernel, f.Workers,
				f.Seconds*1e3, f.pairsPerSecond()/1e6, f.OfLimit.Median, f.OfLimit.Low, f.OfLimit.High)
		})
	}
	r.writeEventTable(b)
	writeTable(b, "Peers", "Exhaustive search over the same file of faces with 512 dimensions, alternating with ours.",
		"| peer | encoding | rows | queries | threads | its ns per pair | kernel | our ns per pair | we are faster by | its recall@10 |", r.Comparisons, func(c *comparison) string {
			recall := "no top-10"
			if c.Recall >= 0 {
				recall = fmt.Sprintf("%.2f", c.Recall)
			}
			return fmt.Sprintf("| %s | %s | %d | %d | %d | %.2f | %s | %.2f | %.2f (%.2f..%.2f) | %s |", c.Peer, c.Encoding, c.Rows, c.Queries, c.Threads,
				c.Theirs, c.Kernel, c.Ours, c.Faster.Median, c.Faster.Low, c.Faster.High, recall)
		})
	if len(r.Comparisons) > 0 {
		b.WriteString("\n#")
		writeRecorded(b)
	}
	writeTable(b, "HTTP load", "The load generator runs on the same cores. Rate: requests due per second; latency counts from the time when a request was due. Closed: each client sends its next request after the answer.",
		"| format | rows | references | clients | rate | requests/s | M pairs/s | p50 ms | p99 ms | p99.9 ms | max ms | failed |", r.Loads, func(l *loadFigure) string {
			rate, failed := "closed", 0
			if l.Rate > 0 {
				rate = fmt.Sprintf("%.0f", l.Rate)
			}
			for _, n := range l.Errors {
				failed += n
			}
			return fmt.Sprintf("| %s | %d | %d | %d | %s | %.1f | %.1f | %.2f | %.2f | %.2f | %.2f | %d |", l.Format, l.Rows, l.Batch, l.Clients, rate,
				l.PerSecond, l.PairsPerSecond/1e6, l.Latency.P50, l.Latency.P99, l.Latency.P999, l.Latency.Max, failed)
		})
	writeTable(b, "Import, start, memory", "", "| figure | value |", r.Service, func(f *serviceFigure) string {
		return fmt.Sprintf("| %s | %.4g %s |", f.What, f.Value, f.Unit)
	})
}

func (r *report) writeEventTable(b *bytes.Buffer) {
	writeTable(b, "Filtered events", "One reference, top 10, among events of 60 days. Times are fractions of the time of a full scan that alternates with them, with cold caches. Ideal: the fraction of the rows that the filter selects.",
		"| order of rows | workers | rows | filter | selected | ideal | match | filter alone | scan alone | full scan ms |", r.Events, func(f *eventFigure) string {
			return fmt.Sprintf("| %s | %d | %d | %s | %d | %.4f | %.4f (%.4f..%.4f) | %.4f | %.4f | %.2f |", f.Order, f.Workers, f.Rows, f.Filter, f.Selected, f.ideal(),
				f.Match.Median, f.Match.Low, f.Match.High, f.Select.Median, f.Scan.Median, f.Full*1e3)
		})
}

// writeTable writes a section with a table, or nothing if there are no rows.
func writeTable[T any](b *bytes.Buffer, title, about, header string, rows []T, line func(*T) string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if about != "" {
		fmt.Fprintf(b, "%s\n\n", about)
	}
	fmt.Fprintf(b, "%s\n|%s\n", header, strings.Repeat("---|", strings.Count(header, "|")-1))
	for i := range rows {
		b.WriteString(line(&rows[i]) + "\n")
	}
}
