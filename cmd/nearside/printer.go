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
		return fmt.Errorf("server: /1/matcher/faces: %w", err)
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
	w    io.Writer
	rows int
}

// row writes a line without trailing blanks.
func (p *tablePrinter) row(reference string, rank any, faceID, externalID, similarity, distance string) error {
	line := fmt.Sprintf("%-36s  %4v  %-36s  %-24s  %10s  %s", reference, rank, faceID, externalID, similarity, distance)
	_, err := fmt.Fprintln(p.w, strings.TrimRight(line, " "))
	return err
}

func (p *tablePrinter) answer(data []byte) error {
	answer, err := wire.ParseAnswer(wire.JSON, data)
	if err != nil {
		return fmt.Errorf("server: /1/matcher/faces: %w", err)
	}
	if p.rows == 0 {
		if err := p.row("reference", "rank", "face_id", "external_id", "similarity", "distance"); err != nil {
			return err
		}
	}
	for _, item := range answer {
		p.rows++
		found := 0
		for _, set := range item.Matches {
			for _, row := range set.Rows {
				found++
				err := p.row(item.Reference.ID, found, row.Object.ID.String(), row.Object.ExternalID,
					strconv.FormatFloat(row.Similarity, 'f', 6, 64), strconv.FormatFloat(row.Distance, 'g', -1, 64))
				if err != nil {
					return err
				}
			}
		}
		if found == 0 {
			if err := p.row(item.Reference.ID, "-", "(no match)", "", "", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *tablePrinter) end() error { return nil }
