package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	c := Chart{Title: "rate <over> clients", X: "clients", Y: "requests & more", Series: []Series{
		{"closed", []Point{{1, 100}, {4, 390}, {64, 1500}}},
		{"open", []Point{{1, 100}, {0, 5}, {2, math.Inf(1)}, {math.NaN(), 1}}}, // three points cannot be drawn
	}}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	circles, lines, words := 0, 0, ""
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("invalid XML: %v\n%s", err, b.String())
		}
		switch token := token.(type) {
		case xml.StartElement:
			switch token.Name.Local {
			case "circle":
				circles++
			case "polyline":
				lines++
			}
		case xml.CharData:
			words += string(token)
		}
	}
	if circles != 4 || lines != 2 {
		t.Errorf("%d points and %d lines, want 4 and 2", circles, lines)
	}
	for _, want := range []string{"rate <over> clients", "clients", "requests & more", "closed", "open", "1.5k"} {
		if !strings.Contains(words, want) {
			t.Errorf("the picture does not contain %q", want)
		}
	}
}

func TestWriteWithoutPoints(t *testing.T) {
	c := Chart{Title: "empty", Series: []Series{{"zero", []Point{{0, 1}}}}}
	if err := c.Write(io.Discard); err == nil {
		t.Error("a chart without points was drawn")
	}
}

func TestAxis(t *testing.T) {
	points := func(ys ...float64) []Series {
		s := Series{}
		for _, y := range ys {
			s.Points = append(s.Points, Point{1, y})
		}
		return []Series{s}
	}
	y := func(p Point) float64 { return p.Y }
	a := newAxis(points(1, 100), y)
	if a.position(1) != 0 || a.position(100) != 1 || math.Abs(a.position(10)-0.5) > 1e-12 {
		t.Errorf("positions of 1, 10, 100: %v, %v, %v", a.position(1), a.position(10), a.position(100))
	}
	if got, want := a.ticks(), []float64{1, 2, 5, 10, 20, 50, 100}; !slices.Equal(got, want) {
		t.Errorf("ticks %v, want %v", got, want)
	}
	if got, want := newAxis(points(1e3, 1e7), y).ticks(), []float64{1e3, 1e4, 1e5, 1e6, 1e7}; !slices.Equal(got, want) {
		t.Errorf("ticks %v, want %v", got, want)
	}
	if a := newAxis(points(100, 101), y); a.high/a.low < 9.999 {
		t.Errorf("the axis covers %v..%v, want at least a decade", a.low, a.high)
	}
}

func TestLabel(t *testing.T) {
	for v, want := range map[float64]string{0.05: "0.05", 1: "1", 256: "256", 1000: "1k", 100000: "100k", 999999: "1M", 2.5e6: "2.5M", 3e9: "3G"} {
		if got := label(v); got != want {
			t.Errorf("label of %v is %s, want %s", v, got, want)
		}
	}
}
