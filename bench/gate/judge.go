package gate

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Measurement is the figure of a bar, or the reason why it was not measured.
type Measurement struct {
	Value   float64 `json:"value"`
	Low     float64 `json:"low,omitempty"`     // lower quartile, if there are several measurements
	High    float64 `json:"high,omitempty"`    // upper quartile, if there are several measurements
	Skipped string  `json:"skipped,omitempty"` // the reason why there is no value
	Note    string  `json:"note,omitempty"`    // a remark for the table
}

// Status is the outcome for a bar.
type Status string

// The statuses. Only a Miss makes the gate fail.
const (
	Pass      Status = "pass"
	KnownMiss Status = "known miss"
	Miss      Status = "MISS"
	Skipped   Status = "skipped"
)

// Verdict is a bar with its measurement and status.
type Verdict struct {
	Bar
	Measurement
	Status Status
}

// NotMeasured is the note of a bar that was neither measured nor skipped.
const NotMeasured = "not measured"

// noiseFactor is the factor by which a known miss may be further from its bound than
// recorded. It is about the noise of medians.
const noiseFactor = 1.15

// Judge returns the verdicts of bars on a machine of a class, in their order. A bar that
// was neither measured nor skipped is a miss. So is a bar that is only known to be missed
// on other classes.
func Judge(bars []Bar, measured map[string]Measurement, known map[string]Known, class string) []Verdict {
	verdicts := make([]Verdict, len(bars))
	for i, b := range bars {
		m, ok := measured[b.ID]
		v := Verdict{Bar: b, Measurement: m}
		k := known[b.ID]
		recorded, isKnown := k.Measured[class]
		switch {
		case !ok:
			v.Status, v.Note = Miss, NotMeasured
		case m.Skipped != "":
			v.Status = Skipped
		case b.meets(m.Value):
			v.Status = Pass
			if isKnown {
				v.Note = joinNotes(m.Note, "listed in known-misses.md, but passes")
			}
		case isKnown && notWorse(&b, m.Value, recorded):
			v.Status, v.Note = KnownMiss, joinNotes(m.Note, k.Cause)
		case isKnown:
			v.Status, v.Note = Miss, joinNotes(m.Note, fmt.Sprintf("worse than the known miss of %v", recorded))
		case len(k.Measured) > 0:
			v.Status, v.Note = Miss, joinNotes(m.Note, "a known miss of other machines: "+strings.Join(slices.Sorted(maps.Keys(k.Measured)), ", "))
		default:
			v.Status = Miss
		}
		verdicts[i] = v
	}
	return verdicts
}

func notWorse(b *Bar, value, recorded float64) bool {
	if b.AtMost {
		return value <= recorded*noiseFactor
	}
	return value >= recorded/noiseFactor
}

func joinNotes(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Missed returns the number of misses, without known misses.
func Missed(verdicts []Verdict) int {
	n := 0
	for i := range verdicts {
		if verdicts[i].Status == Miss {
			n++
		}
	}
	return n
}

// WriteTable writes verdicts as aligned columns for a terminal.
func WriteTable(w io.Writer, verdicts []Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "BAR\tSTATUS\tMEASURED\tBOUND\tFIGURE\tWORKLOAD\tNOTE") // Flush returns its errors
	for i := range verdicts {
		v := &verdicts[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Status, v.MeasuredText(), v.BoundText(), v.Figure, v.Workload, v.note())
	}
	return t.Flush()
}

// WriteMarkdown writes verdicts as a Markdown table.
func WriteMarkdown(w io.Writer, verdicts []Verdict) error {
	var b strings.Builder
	b.WriteString("| bar | workload | figure | bound | measured | status | note |\n|---|---|---|---|---|---|---|\n")
	for i := range verdicts {
		v := &verdicts[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", v.ID, v.Workload, v.Figure, v.BoundText(), v.MeasuredText(), v.Status, v.note())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// BoundText returns the bound as tables show it, like ">= 0.8".
func (b *Bar) BoundText() string {
	if b.AtMost {
		return "<= " + number(b.Bound)
	}
	return ">= " + number(b.Bound)
}

// MeasuredText returns the measurement as tables show it, with its quartiles if there are
// several.
func (v *Verdict) MeasuredText() string {
	switch {
	case v.Skipped != "" || v.Status == Miss && v.Note == NotMeasured:
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

// number formats x with three significant digits, or without a fraction from 100 on.
func number(x float64) string {
	if math.Abs(x) >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
