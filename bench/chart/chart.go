// Package chart draws line charts as SVG, without dependencies. Both axes are logarithmic.
// Each series is a line with its points, and has an entry in the legend.
package chart

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is a line chart of series that share both axes.
type Chart struct {
	Title  string
	X, Y   string // names of the axes, with units
	Series []Series
}

// Series is a line. Points whose X or Y is not above 0 are not drawn, because the axes are
// logarithmic.
type Series struct {
	Name   string
	Points []Point
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

// The sizes of the picture, in pixels.
const (
	width, height            = 720, 420
	left, right, top, bottom = 70, 190, 40, 50
	plotWidth                = width - left - right
	plotHeight               = height - top - bottom
)

// colours are the palette of Okabe and Ito, which colour-blind readers can distinguish.
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"}

// Write writes the picture. It returns an error if no point can be drawn.
func (c *Chart) Write(w io.Writer) error {
	x, y := newAxis(c.Series, func(p Point) float64 { return p.X }), newAxis(c.Series, func(p Point) float64 { return p.Y })
	if x == nil || y == nil {
		return fmt.Errorf("chart: %q has no points", c.Title)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	writeText(&b, left, 22, "start", `font-size="15"`, c.Title)
	writeText(&b, left+plotWidth/2, height-12, "middle", "", c.X)
	fmt.Fprintf(&b, `<g transform="translate(16 %d) rotate(-90)">`, top+plotHeight/2)
	writeText(&b, 0, 0, "middle", "", c.Y)
	b.WriteString("</g>\n")
	for _, t := range x.ticks() {
		px := left + x.position(t)*plotWidth
		writeLine(&b, px, top, px, top+plotHeight)
		writeText(&b, px, top+plotHeight+18, "middle", "", label(t))
	}
	for _, t := range y.ticks() {
		py := top + (1-y.position(t))*plotHeight
		writeLine(&b, left, py, left+plotWidth, py)
		writeText(&b, left-6, py+4, "end", "", label(t))
	}
	for i, s := range c.Series {
		c.writeSeries(&b, i, s, x, y)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Chart) writeSeries(b *strings.Builder, i int, s Series, x, y *axis) {
	colour := colours[i%len(colours)]
	var path []string
	for _, p := range s.Points {
		if !isShown(p) {
			continue
		}
		px, py := left+x.position(p.X)*plotWidth, top+(1-y.position(p.Y))*plotHeight
		path = append(path, fmt.Sprintf("%.1f,%.1f", px, py))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s, %s</title></circle>`+"\n",
			px, py, colour, html.EscapeString(s.Name), label(p.X), label(p.Y))
	}
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colour, strings.Join(path, " "))
	row := float64(top + 10 + 18*i)
	fmt.Fprintf(b, `<rect x="%d" y="%.0f" width="12" height="4" fill="%s"/>`+"\n", left+plotWidth+12, row-4, colour)
	writeText(b, left+plotWidth+30, row, "start", "", s.Name)
}

func isShown(p Point) bool { return p.X > 0 && p.Y > 0 && !math.IsInf(p.X+p.Y, 0) }

func writeText(b *strings.Builder, x, y float64, anchor, attributes, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, attributes, html.EscapeString(s))
}

func writeLine(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}

// label formats a number with three digits and a suffix k, M or G.
func label(v float64) string {
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size*0.9995 {
			return strconv.FormatFloat(v/unit.size, 'g', 3, 64) + unit.suffix
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// axis is a logarithmic scale.
type axis struct{ low, high float64 }

func newAxis(series []Series, coordinate func(Point) float64) *axis {
	var all []float64
	for _, s := range series {
		for _, p := range s.Points {
			if isShown(p) {
				all = append(all, coordinate(p))
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	a := &axis{slices.Min(all), slices.Max(all)}
	if a.high < 10*a.low { // shows at least a decade, so that noise does not look like growth
		middle := math.Sqrt(a.low * a.high)
		a.low, a.high = min(a.low, middle/math.Sqrt(10)), max(a.high, middle*math.Sqrt(10))
	}
	return a
}

// position returns the position of v on the axis: 0 at the low end, 1 at the high end.
func (a *axis) position(v float64) float64 { return math.Log(v/a.low) / math.Log(a.high/a.low) }

// ticks returns 1, 2 and 5 times powers of ten. If the axis covers more than three
// decades, it returns only powers of ten.
func (a *axis) ticks() []float64 {
	steps := []float64{1, 2, 5}
	if a.high > 1000*a.low {
		steps = steps[:1]
	}
	var all []float64
	for decade := math.Floor(math.Log10(a.low)); decade <= math.Log10(a.high); decade++ {
		for _, s := range steps {
			// The tolerance includes ticks exactly at the ends.
			if t := s * math.Pow(10, decade); t >= a.low*(1-1e-9) && t <= a.high*(1+1e-9) {
				all = append(all, t)
			}
		}
	}
	return all
}
