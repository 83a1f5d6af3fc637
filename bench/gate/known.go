package gate

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Known describes a bar that is known to be missed on some machine classes.
type Known struct {
	Measured map[string]float64 // the figure of the bar, by machine class
	Cause    string
	Tried    string
}

// ParseKnown parses known-misses.md. It has a section of second level for each bar, whose
// heading is the bar's ID, with a list item for cause and for tried, and one item named
// measured for each machine class. An item may continue in indented lines. Text before the
// first section is ignored.
//
//	## u8-64-peak
//	- measured: 0.74 on amd-zen4-2-cores, 2026-05-01
//	- measured: 0.59 on intel-granite-rapids-2-cores, 2026-06-01 (0.57-0.61 in five runs)
//	- cause: one sentence
//	- tried: what did not help,
//	  and how far it came
//
// An unknown or repeated bar, a repeated class, and a missing, empty, unknown or repeated
// item are errors. The error has the number of the line.
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
	text    map[string]string // items of section, except measured
	figures []string          // items measured of section
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
		if p.item = name; name == "measured" {
			p.figures = append(p.figures, strings.TrimSpace(text))
		} else {
			p.text[name] = strings.TrimSpace(text)
		}
		return nil
	case strings.HasPrefix(line, "  ") && p.item == "measured":
		return nil // remarks, which follow class and date
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
	p.section, p.text, p.figures, p.item = id, map[string]string{}, nil, ""
	return nil
}

// endSection checks the current section and stores it.
func (p *knownParser) endSection() error {
	if p.section == "" {
		return nil
	}
	for _, item := range itemNames {
		if item != "measured" && p.text[item] == "" || item == "measured" && len(p.figures) == 0 {
			return fmt.Errorf("%s: %s is missing", p.section, item)
		}
	}
	measured := map[string]float64{}
	for _, text := range p.figures {
		class, value, err := parseFigure(text)
		if err != nil {
			return fmt.Errorf("%s: measured: %w", p.section, err)
		}
		if _, ok := measured[class]; ok {
			return fmt.Errorf("%s: measured: class %s occurs twice", p.section, class)
		}
		measured[class] = value
	}
	p.known[p.section] = Known{measured, p.text["cause"], p.text["tried"]}
	return nil
}

var figureForm = regexp.MustCompile(`^(\S+) on ([a-z0-9]+(?:-[a-z0-9]+)+), (\d{4}-\d{2}-\d{2})(?: .*)?$`)

// parseFigure parses the text of an item measured.
func parseFigure(text string) (class string, value float64, err error) {
	parts := figureForm.FindStringSubmatch(text)
	if parts == nil {
		return "", 0, fmt.Errorf("must be like %q, got %q", "0.74 on amd-zen4-2-cores, 2026-05-01", text)
	}
	if value, err = strconv.ParseFloat(parts[1], 64); err != nil {
		return "", 0, fmt.Errorf("%q is not a number", parts[1])
	}
	if _, err := time.Parse(time.DateOnly, parts[3]); err != nil {
		return "", 0, fmt.Errorf("%q is not a date", parts[3])
	}
	return parts[2], value, nil
}
