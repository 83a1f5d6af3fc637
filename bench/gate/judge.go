package gate

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Measurement is the figure of a bar, or why there is none.
type Measurement struct {
	Value   float64 `json:"value"`
	Low     float64 `json:"low,omitempty"` // quartiles, where there are several
	High    float64 `json:"high,omitempty"`
	Skipped string  `json:"skipped,omitempty"` // why there is no value
	Note    string  `json:"note,omitempty"`    // what a reader of the table should know
}

// Status is what became of a bar.
type Status string

// The statuses. Only a Miss fails.
const (
	Pass      Status = "pass"
	KnownMiss Status = "known miss"
	Miss      Status = "MISS"
	Skipped   Status = "skipped"
)

// Verdict is a bar with its figure.
type Verdict struct {
	Bar
	Measurement
	Status Status
}

// worse is how much further from its bar than recorded a known miss may be
// before it counts as a new one: about the noise of medians.
const worse = 1.15

// Judge gives each bar its verdict, in their order. A bar that was not measured
// at all is a miss: silence is no pass.
func Judge(bars []Bar, measured map[string]Measurement, known map[string]Known) []Verdict {
	verdicts := make([]Verdict, len(bars))
	for i, b := range bars {
		m, ok := measured[b.ID]
		v := Verdict{Bar: b, Measurement: m}
		k, isKnown := known[b.ID]
		switch {
		case !ok:
			v.Status, v.Note = Miss, "not measured"
		case m.Skipped != "":
			v.Status = Skipped
		case b.meets(m.Value):
			v.Status = Pass
			if isKnown {
				v.Note = join(m.Note, "stands in known-misses.md, but passes")
			}
		case isKnown && notWorse(&b, m.Value, k.Measured):
			v.Status, v.Note = KnownMiss, join(m.Note, k.Cause)
		case isKnown:
			v.Status, v.Note = Miss, join(m.Note, fmt.Sprintf("worse than the known miss of %v", k.Measured))
		default:
			v.Status = Miss
		}
		verdicts[i] = v
	}
	return verdicts
}

func notWorse(b *Bar, value, recorded float64) bool {
	if b.AtMost {
		return value <= recorded*worse
	}
	return value >= recorded/worse
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Missed returns how many bars were missed that are not known to be.
func Missed(verdicts []Verdict) int {
	n := 0
	for i := range verdicts {
		if verdicts[i].Status == Miss {
			n++
		}
	}
	return n
}

// WriteTable writes verdicts as columns for a terminal.
func WriteTable(w io.Writer, verdicts []Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "BAR\tSTATUS\tMEASURED\tBOUND\tFIGURE\tWORKLOAD\tNOTE") // Flush gives its errors
	for i := range verdicts {
		v := &verdicts[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Status, v.measured(), v.bound(), v.Figure, v.Workload, v.note())
	}
	return t.Flush()
}

// WriteMarkdown writes verdicts as a table.
func WriteMarkdown(w io.Writer, verdicts []Verdict) error {
	var b strings.Builder
	b.WriteString("| bar | workload | figure | bound | measured | status | note |\n|---|---|---|---|---|---|---|\n")
	for i := range verdicts {
		v := &verdicts[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", v.ID, v.Workload, v.Figure, v.bound(), v.measured(), v.Status, v.note())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (v *Verdict) bound() string {
	if v.AtMost {
		return "<= " + number(v.Bound)
	}
	return ">= " + number(v.Bound)
}

func (v *Verdict) measured() string {
	switch {
	case v.Skipped != "" || v.Status == Miss && v.Note == "not measured":
		return "-"
	case v.Low != 0 || v.High != 0:
		return fmt.Sprintf("%s (%s..%s)", number(v.Value), number(v.Low), number(v.High))
	}
	return number(v.Value)
}

func (v *Verdict) note() string {
	if v.Skipped != "" {
		return v.Skipped
	}
	return v.Note
}

// number writes three digits, and all of those before the point.
func number(x float64) string {
	if math.Abs(x) >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
