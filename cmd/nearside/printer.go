package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"nearside/matcher/wire"
)

// printer prints answers one after the other.
type printer interface {
	answer(data []byte) error
	end() error
}

// jsonPrinter joins the arrays of the answers into one.
type jsonPrinter struct {
	w     io.Writer
	items int
}

func (p *jsonPrinter) answer(data []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return fmt.Errorf("server: answer of a match: %w", err)
	}
	for _, item := range items {
		before := ",\n"
		if p.items == 0 {
			before = "["
		}
		p.items++
		if _, err := fmt.Fprintf(p.w, "%s%s", before, item); err != nil {
			return err
		}
	}
	return nil
}

func (p *jsonPrinter) end() error {
	end := "]\n"
	if p.items == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(p.w, end)
	return err
}

// tablePrinter prints a row for each match. Its columns have fixed widths, because it
// prints an answer before it knows the next one.
type tablePrinter struct {
	w       io.Writer
	idField string // of the candidates
	offset  int    // matches that were skipped before the first one
	grouped bool   // whether the table has a column with the groups
	rows    int
}

// row writes a line without trailing blanks.
func (p *tablePrinter) row(reference string, rank any, id, externalID, similarity, distance, group string) error {
	line := fmt.Sprintf("%-36s  %4v  %-36s  %-24s  %10s  %s", reference, rank, id, externalID, similarity, distance)
	if p.grouped {
		line = fmt.Sprintf("%-36s  %4v  %-36s  %-24s  %10s  %-20s  %s", reference, rank, id, externalID, similarity, distance, group)
	}
	_, err := fmt.Fprintln(p.w, strings.TrimRight(line, " "))
	return err
}

func (p *tablePrinter) answer(data []byte) error {
	answer, err := wire.ParseAnswer(wire.JSON, data)
	if err != nil {
		return fmt.Errorf("server: answer of a match: %w", err)
	}
	if p.rows == 0 {
		if err := p.row("reference", "rank", p.idField, "external_id", "similarity", "distance", "group"); err != nil {
			return err
		}
	}
	for i := range answer {
		p.rows++
		if err := p.item(&answer[i]); err != nil {
			return err
		}
	}
	return nil
}

// item prints the matches of one reference.
func (p *tablePrinter) item(item *wire.AnswerItem) error {
	found := 0
	for _, set := range item.Matches {
		for _, row := range set.Rows {
			found++
			err := p.row(item.Reference.ID, p.offset+found, row.Object.ID.String(), row.Object.ExternalID,
				strconv.FormatFloat(row.Similarity, 'f', 6, 64), strconv.FormatFloat(row.Distance, 'g', -1, 64), oneLine(row.Group))
			if err != nil {
				return err
			}
		}
	}
	if found == 0 {
		if err := p.row(item.Reference.ID, "-", "(no match)", "", "", "", ""); err != nil {
			return err
		}
	}
	for _, set := range item.Matches {
		if set.HasCount {
			if err := p.row(item.Reference.ID, "-", fmt.Sprintf("(%d in all)", set.Count), "", "", "", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *tablePrinter) end() error { return nil }
