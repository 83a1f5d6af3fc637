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
	Sections    string          `json:"sections,omitempty"` // when not all were run
	Peers       []string        `json:"peers"`
	Limits      []limitFigure   `json:"limits"`
	Figures     []figure        `json:"figures"`
	Events      []eventFigure   `json:"events"`
	Comparisons []comparison    `json:"comparisons"`
	Loads       []loadFigure    `json:"loads"`
	Service     []serviceFigure `json:"service"`
	Bars        []verdict       `json:"bars"`
}

// verdict is a bar as JSON.
type verdict struct {
	ID     string      `json:"id"`
	Bound  float64     `json:"bound"`
	AtMost bool        `json:"at_most"`
	Status gate.Status `json:"status"`
	gate.Measurement
}

// write writes everything that was found to the folder of results.
func (s *suite) write(verdicts []gate.Verdict) error {
	r := report{
		Machine: describe(), Date: s.start.UTC().Format(time.DateOnly), Seconds: int(time.Since(s.start).Seconds()), Short: s.short, Sections: s.only,
		Peers: s.found, Limits: s.limitFigures, Figures: s.figures, Events: s.events, Comparisons: s.comparisons, Loads: s.runs, Service: s.service,
	}
	for _, v := range verdicts {
		r.Bars = append(r.Bars, verdict{v.ID, v.Bound, v.AtMost, v.Status, v.Measurement})
	}
	r.Machine.Load = s.load
	text, err := json.MarshalIndent(&r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	name := r.Machine.slug()
	if s.short {
		name += "-short"
	}
	base := filepath.Join(s.out, name)
	pictures, err := r.pictures(base)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	r.page(&page, pictures)
	page.WriteString("\n## Bars\n\n")
	if err := gate.WriteMarkdown(&page, verdicts); err != nil {
		return err
	}
	s.progress("results: %s.md", base)
	return errors.Join(os.WriteFile(base+".json", append(text, '\n'), 0o644), os.WriteFile(base+".md", page.Bytes(), 0o644))
}

// page writes all but the bars.
func (r *report) page(b *bytes.Buffer, pictures []string) {
	m := &r.Machine
	fmt.Fprintf(b, "# %s, %d cores\n\n", m.CPU, m.Cores)
	fmt.Fprintf(b, "Written by `make bench` on %s in %d s. Times of shared machines drift: compare ratios, which are medians of runs in turn.\n", r.Date, r.Seconds)
	if r.Short {
		b.WriteString("\n**This is a short run: fewer rows and rounds than the bars ask for.**\n")
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
	r.tables(b)
}

// tables writes a section for each kind of figure that there is.
func (r *report) tables(b *bytes.Buffer) {
	table(b, "Limits of the machine", "", "| kernel | threads | stream GB/s | uint8 G products/s | float32 G products/s |", r.Limits, func(f *limitFigure) string {
		return fmt.Sprintf("| %s | %d | %.1f | %.1f | %.1f |", f.Kernel, f.Threads, f.StreamGB, f.U8, f.F32)
	})
	const header = "| data | rows | dimensions | workload | kernel | workers | ms | M pairs/s | of the limit |"
	for _, section := range []struct{ name, title, about string }{
		{"kernels", "Kernels", "One row-major query, blocks of 256 KiB."},
		{"engine", "Engine", "The local matcher through its API, top-k included. Of the limit: the time that memory or arithmetic takes at least, whichever is longer, divided by the time taken; with quartiles."},
		{"scaling", "Scaling", "How cost grows with rows, dimensions and workers."},
	} {
		var figures []figure
		for _, f := range r.Figures {
			if f.Section == section.name {
				figures = append(figures, f)
			}
		}
		table(b, section.title, section.about, header, figures, func(f *figure) string {
			return fmt.Sprintf("| %s | %d | %d %s | %s | %s | %d | %.3f | %.1f | %.2f (%.2f..%.2f) |", f.Data, f.Rows, f.Dim, f.Encoding, f.What, f.Kernel, f.Workers,
				f.Seconds*1e3, f.pairsPerSecond()/1e6, f.OfLimit.Median, f.OfLimit.Low, f.OfLimit.High)
		})
	}
	r.eventTable(b)
	table(b, "Peers", "Exhaustive search over the same file of 512 dimensions, faces, in turn with ours.",
		"| peer | encoding | rows | queries | threads | its ns per pair | kernel | our ns per pair | we are faster by | its recall@10 |", r.Comparisons, func(c *comparison) string {
			recall := "no top-10"
			if c.Recall >= 0 {
				recall = fmt.Sprintf("%.2f", c.Recall)
			}
			return fmt.Sprintf("| %s | %s | %d | %d | %d | %.2f | %s | %.2f | %.2f (%.2f..%.2f) | %s |", c.Peer, c.Encoding, c.Rows, c.Queries, c.Threads,
				c.Theirs, c.Kernel, c.Ours, c.Faster.Median, c.Faster.Low, c.Faster.High, recall)
		})
	table(b, "HTTP load", "The load generator runs on the same cores. Rate: requests due per second, latency from when they were due; closed: each client sends when it is answered.",
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
	table(b, "Import, start, memory", "", "| figure | value |", r.Service, func(f *serviceFigure) string {
		return fmt.Sprintf("| %s | %.4g %s |", f.What, f.Value, f.Unit)
	})
}

func (r *report) eventTable(b *bytes.Buffer) {
	table(b, "Filtered events", "One reference, top 10, among events of 60 days; times are parts of the time of a full scan beside them, caches are cold. Ideal: the part of the rows that are selected.",
		"| order of rows | workers | rows | filter | selected | ideal | match | filter alone | scan alone | full scan ms |", r.Events, func(f *eventFigure) string {
			return fmt.Sprintf("| %s | %d | %d | %s | %d | %.4f | %.4f (%.4f..%.4f) | %.4f | %.4f | %.2f |", f.Order, f.Workers, f.Rows, f.Filter, f.Selected, f.ideal(),
				f.Match.Median, f.Match.Low, f.Match.High, f.Select.Median, f.Scan.Median, f.Full*1e3)
		})
}

// table writes rows under a title, or nothing when there are none.
func table[T any](b *bytes.Buffer, title, about, header string, rows []T, line func(*T) string) {
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
