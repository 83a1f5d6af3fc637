package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"nearside/matcher/wire"
)

// explainPrinter prints the plans of answers: a tree for each reference and candidate
// set.
type explainPrinter struct {
	w     io.Writer
	trees int
}

func (p *explainPrinter) answer(data []byte) error {
	answer, err := wire.ParseAnswer(wire.JSON, data)
	if err != nil {
		return fmt.Errorf("server: answer of a match: %w", err)
	}
	for _, item := range answer {
		for i := range item.Matches {
			title := "reference " + oneLine(string(item.Reference.Type)) + " " + oneLine(item.Reference.ID)
			if len(item.Matches) > 1 {
				title += fmt.Sprintf("  (set %d)", i+1)
			}
			if err := p.tree(title, branchesOf(&item.Matches[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *explainPrinter) end() error { return nil }

// branch is a line of a tree with its child lines.
type branch struct {
	text   string
	leaves []string
}

// tree writes a tree. A blank line separates it from the one before.
func (p *explainPrinter) tree(title string, branches []branch) error {
	var b strings.Builder
	if p.trees > 0 {
		b.WriteByte('\n')
	}
	p.trees++
	line := func(parts ...string) { b.WriteString(strings.TrimRight(strings.Join(parts, ""), " ") + "\n") }
	line(title)
	for i, branch := range branches {
		fork, trunk := "├─ ", "│  "
		if i == len(branches)-1 {
			fork, trunk = "└─ ", "   "
		}
		line(fork, branch.text)
		for j, leaf := range branch.leaves {
			fork := "├─ "
			if j == len(branch.leaves)-1 {
				fork = "└─ "
			}
			line(trunk, fork, leaf)
		}
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

func branchesOf(set *wire.AnswerSet) []branch {
	branches := planBranches(set.Plan)
	if n := len(set.Rows); n > 0 {
		first := &set.Rows[0]
		branches = append(branches, fieldBranch("matches", fmt.Sprintf("%s, first %s · similarity %.6f · distance %s",
			grouped(n), first.Object.ID, first.Similarity, strconv.FormatFloat(first.Distance, 'g', -1, 64))))
	} else {
		branches = append(branches, fieldBranch("matches", "none"))
	}
	if set.HasCount {
		branches = append(branches, fieldBranch("count", grouped(set.Count)+" in all"))
	}
	return branches
}

func planBranches(plan *wire.Plan) []branch {
	if plan == nil {
		return []branch{fieldBranch("plan", "none; the server did not send one")}
	}
	branches := []branch{
		listBranch("matchers", matcherLines(plan.Matchers)),
		listBranch("prefilters", prefilterLines(plan.Prefilters)),
		fieldBranch("rows", fmt.Sprintf("selected %s · other version %s · scanned %s",
			grouped(plan.RowsSelected), grouped(plan.RowsOtherVersion), grouped(plan.RowsScanned))),
		fieldBranch("scan", strings.Join(scanOf(plan), " · ")),
	}
	if len(plan.Hooks) > 0 {
		branches = append(branches, listBranch("plugins", hookLines(plan.Hooks)))
	}
	if len(plan.Steps) > 0 {
		steps := make([]string, len(plan.Steps))
		for i, step := range plan.Steps {
			steps[i] = oneLine(step)
		}
		branches = append(branches, listBranch("steps", steps))
	}
	return branches
}

func fieldBranch(name, value string) branch {
	return branch{text: fmt.Sprintf("%-10s  %s", name, value)}
}

func listBranch(name string, leaves []string) branch {
	if len(leaves) == 0 {
		return fieldBranch(name, "none")
	}
	return branch{name, leaves}
}

func scanOf(plan *wire.Plan) []string {
	var parts []string
	if plan.Kernel != "" { // it is empty if nothing was scanned
		parts = append(parts, oneLine(plan.Kernel))
	}
	if plan.SharedWith > 0 {
		parts = append(parts, "shared with "+grouped(plan.SharedWith))
	}
	return append(parts, milliseconds(plan.Milliseconds))
}

// matcherLines marks the matcher that answered. A matcher that cannot answer has no
// cost.
func matcherLines(matchers []wire.PlanMatcher) []string {
	rows := make([][]string, len(matchers))
	for i, m := range matchers {
		mark := "  "
		if m.Chosen {
			mark = "* "
		}
		cost := "-"
		if m.Chosen || m.Cost != 0 {
			cost = strconv.FormatFloat(m.Cost, 'g', -1, 64)
		}
		rows[i] = []string{mark + oneLine(m.Name), "cost " + cost, oneLine(m.Reason)}
	}
	return aligned(rows)
}

func prefilterLines(prefilters []wire.PlanPrefilter) []string {
	rows := make([][]string, len(prefilters))
	for i, f := range prefilters {
		rows[i] = []string{oneLine(f.Plugin), grouped(f.Before) + " -> " + grouped(f.After), milliseconds(f.Milliseconds)}
	}
	return aligned(rows)
}

// hookLines says what hooks of plugins have changed.
func hookLines(hooks []wire.PlanHook) []string {
	rows := make([][]string, len(hooks))
	for i, h := range hooks {
		changes := "no changes"
		if len(h.Changes) > 0 {
			changes = oneLine(strings.Join(h.Changes, "; "))
		}
		rows[i] = []string{oneLine(h.Plugin) + " " + oneLine(h.Hook), changes, milliseconds(h.Milliseconds)}
	}
	return aligned(rows)
}

// aligned joins the cells of each row, so that the columns are aligned.
func aligned(rows [][]string) []string {
	var widths [3]int
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	joined := make([]string, len(rows))
	for i, row := range rows {
		joined[i] = fmt.Sprintf("%-*s  %-*s  %s", widths[0], row[0], widths[1], row[1], row[2])
	}
	return joined
}

// grouped writes n with a comma between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// milliseconds writes a duration with one decimal place, and with three below 1 ms.
func milliseconds(ms float64) string {
	digits := 1
	if ms < 1 {
		digits = 3
	}
	return strconv.FormatFloat(ms, 'f', digits, 64) + " ms"
}

// oneLine replaces control characters in a server's text, so that it stays on one line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
