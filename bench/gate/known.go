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

// Known describes a bar that is known to be missed.
type Known struct {
	Measured float64 // the figure of the bar
	On       string  // machine and date
	Cause    string
	Tried    string
}

// ParseKnown parses known-misses.md. It has a section of second level for each bar, whose
// heading is the bar's ID, with one list item for each of measured, cause and tried. An
// item may continue in indented lines. Text before the first section is ignored.
//
//	## u8-64-peak
//	- measured: 0.74 on AMD EPYC (Zen 4), 2026-05-01
//	- cause: one sentence
//	- tried: what did not help,
//	  and how far it came
//
// An unknown or repeated bar and a missing, empty, unknown or repeated item are errors.
// The error has the number of the line.
func ParseKnown(r io.Reader, bars []Bar) (map[string]Known, error) {
	p := knownParser{bars: bars, known: map[string]Known{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.line++
		if err := p.parseLine(lines.Text()); err != nil {
			return nil, fmt.Errorf("known misses: line %d: %w", p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("known misses: %w", err)
	}
	if err := p.endSection(); err != nil {
		return nil, fmt.Errorf("known misses: line %d: %w", p.line, err)
	}
	return p.known, nil
}

var itemNames = []string{"measured", "cause", "tried"}

type knownParser struct {
	bars    []Bar
	known   map[string]Known
	line    int
	section string            // ID of the bar
	text    map[string]string // items of section
	item    string            // the item that indented lines continue
}

func (p *knownParser) parseLine(line string) error {
	if id, ok := strings.CutPrefix(line, "## "); ok {
		if err := p.endSection(); err != nil {
			return err
		}
		return p.beginSection(strings.TrimSpace(id))
	}
	switch {
	case p.section == "" || strings.TrimSpace(line) == "":
		return nil
	case strings.HasPrefix(line, "- "):
		name, text, _ := strings.Cut(line[2:], ":")
		if !slices.Contains(itemNames, name) {
			return fmt.Errorf("unknown item %q, must be one of %s", name, strings.Join(itemNames, ", "))
		}
		if _, ok := p.text[name]; ok {
			return fmt.Errorf("item %s occurs twice", name)
		}
		p.item, p.text[name] = name, strings.TrimSpace(text)
		return nil
	case strings.HasPrefix(line, "  ") && p.item != "":
		p.text[p.item] = strings.TrimSpace(p.text[p.item] + " " + strings.TrimSpace(line))
		return nil
	}
	return fmt.Errorf("%q must be an item or continue an item", line)
}

func (p *knownParser) beginSection(id string) error {
	if !slices.ContainsFunc(p.bars, func(b Bar) bool { return b.ID == id }) {
		return fmt.Errorf("unknown bar %q", id)
	}
	if _, ok := p.known[id]; ok {
		return fmt.Errorf("bar %s occurs twice", id)
	}
	p.section, p.text, p.item = id, map[string]string{}, ""
	return nil
}

// endSection checks the current section and stores it.
func (p *knownParser) endSection() error {
	if p.section == "" {
		return nil
	}
	for _, item := range itemNames {
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
