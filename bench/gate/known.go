package gate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Known is a bar that is known to be missed.
type Known struct {
	Measured float64 // the figure of the bar
	On       string  // machine and date
	Cause    string
	Tried    string
}

// ParseKnown reads known-misses.md: a section of second level per bar, named
// like it, with one list item for each of measured, cause and tried. Items may
// go on in indented lines. What stands before the first section is for the
// reader.
//
//	## u8-64-peak
//	- measured: 0.74 on AMD EPYC (Zen 4), 2026-05-01
//	- cause: one sentence
//	- tried: what did not help,
//	  and how far it came
//
// An unknown bar, a bar that is there twice, and an item that is missing,
// empty or unknown are errors with their line.
func ParseKnown(r io.Reader, bars []Bar) (map[string]Known, error) {
	p := knownParser{bars: bars, known: map[string]Known{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.line++
		if err := p.add(lines.Text()); err != nil {
			return nil, fmt.Errorf("known misses: line %d: %w", p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("known misses: %w", err)
	}
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("known misses: line %d: %w", p.line, err)
	}
	return p.known, nil
}

var items = []string{"measured", "cause", "tried"}

type knownParser struct {
	bars    []Bar
	known   map[string]Known
	line    int
	section string            // ID of the bar
	text    map[string]string // items of section
	item    string            // that goes on in indented lines
}

func (p *knownParser) add(line string) error {
	if id, ok := strings.CutPrefix(line, "## "); ok {
		if err := p.end(); err != nil {
			return err
		}
		return p.begin(strings.TrimSpace(id))
	}
	switch {
	case p.section == "" || strings.TrimSpace(line) == "":
		return nil
	case strings.HasPrefix(line, "- "):
		name, text, _ := strings.Cut(line[2:], ":")
		if !slices.Contains(items, name) {
			return fmt.Errorf("%q is none of %s", name, strings.Join(items, ", "))
		}
		if _, ok := p.text[name]; ok {
			return fmt.Errorf("%s is there twice", name)
		}
		p.item, p.text[name] = name, strings.TrimSpace(text)
		return nil
	case strings.HasPrefix(line, "  ") && p.item != "":
		p.text[p.item] = strings.TrimSpace(p.text[p.item] + " " + strings.TrimSpace(line))
		return nil
	}
	return fmt.Errorf("%q is neither an item nor goes on with one", line)
}

func (p *knownParser) begin(id string) error {
	if !slices.ContainsFunc(p.bars, func(b Bar) bool { return b.ID == id }) {
		return fmt.Errorf("there is no bar %q", id)
	}
	if _, ok := p.known[id]; ok {
		return fmt.Errorf("%s is there twice", id)
	}
	p.section, p.text, p.item = id, map[string]string{}, ""
	return nil
}

// end checks the section and keeps it.
func (p *knownParser) end() error {
	if p.section == "" {
		return nil
	}
	for _, item := range items {
		if p.text[item] == "" {
			return fmt.Errorf("%s: %s is missing", p.section, item)
		}
	}
	figure, on, _ := strings.Cut(p.text["measured"], " ")
	value, err := strconv.ParseFloat(figure, 64)
	if err != nil {
		return fmt.Errorf("%s: measured: %q is not a number", p.section, figure)
	}
	if on = strings.TrimSpace(on); on == "" {
		return errors.New(p.section + ": measured: the machine is missing")
	}
	p.known[p.section] = Known{value, on, p.text["cause"], p.text["tried"]}
	return nil
}
