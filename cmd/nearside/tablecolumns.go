package main

import (
	"fmt"
	"slices"
	"strings"

	"nearside/matcher"
)

// tableFlags are the flags of an import that describe tables.
type tableFlags struct {
	VectorColumn string   `help:"Column of a table that has the vectors (default: vector, embedding or descriptor)." placeholder:"COLUMN"`
	IDColumn     string   `name:"id-column" help:"Column of a table that has the ids. A value that is not a UUID becomes the external_id." placeholder:"COLUMN"`
	Map          []string `help:"Field for a column of a table; an empty field leaves the column out." placeholder:"COLUMN=FIELD" sep:"none"`
}

// firstTableFlag returns the name of a flag that was given, or "".
func (f *tableFlags) firstTableFlag() string {
	switch {
	case f.VectorColumn != "":
		return "--vector-column"
	case f.IDColumn != "":
		return "--id-column"
	case len(f.Map) > 0:
		return "--map"
	}
	return ""
}

// vectorNames are the names that a column of vectors has without --vector-column.
var vectorNames = []string{"vector", "embedding", "descriptor"}

// tableField is a field of objects that a column of a table gives.
type tableField struct {
	column      string
	group, name string // group: the object that holds the field, or ""
	form        fieldForm
}

// tablePlan says what becomes of the columns of a table.
type tablePlan struct {
	vector  string
	idAt    int          // index in fields of --id-column; -1: it is not given
	fields  []tableField // those with the same group are neighbours
	ignored []string
}

// columnNames returns the columns of the fields.
func (p *tablePlan) columnNames() []string {
	names := make([]string, len(p.fields))
	for i := range p.fields {
		names[i] = p.fields[i].column
	}
	return names
}

// plan decides what becomes of the columns of a table of objects of o.
func (f *tableFlags) plan(columns []string, o matcher.Origin) (*tablePlan, error) {
	fields, err := f.mapped(columns)
	if err != nil {
		return nil, err
	}
	p := &tablePlan{idAt: -1}
	if p.vector, err = f.vectorColumn(columns, fields); err != nil {
		return nil, err
	}
	forms := fieldForms(o)
	byField := map[string]string{} // the column of each field
	for _, column := range columns {
		path, isMapped := fields[column]
		if !isMapped && column != f.IDColumn {
			path = column
		}
		form, known := formOf(forms, path)
		switch {
		case column == p.vector:
		case column == f.IDColumn && !isMapped:
			p.idAt = len(p.fields)
			p.fields = append(p.fields, tableField{column: column})
		case column == "" || path == "":
			continue
		case !known && isMapped:
			return nil, usagef("--map %s=%s: %s have no field %s", column, path, o, path)
		case !known:
			p.ignored = append(p.ignored, column)
		case byField[path] != "":
			return nil, fmt.Errorf("the columns %s and %s have the same field %s; change one with --map", byField[path], column, path)
		default:
			byField[path] = column
			group, name, grouped := strings.Cut(path, ".")
			if !grouped {
				group, name = "", path
			}
			p.fields = append(p.fields, tableField{column, group, name, form})
		}
	}
	if p.idAt >= 0 && byField[o.Singular()+"_id"] != "" {
		return nil, usagef("--id-column: must not be given together with a column of %s_id", o.Singular())
	}
	p.sort()
	return p, nil
}

// sort puts fields of the same group together, behind the others.
func (p *tablePlan) sort() {
	id := ""
	if p.idAt >= 0 {
		id = p.fields[p.idAt].column
	}
	slices.SortStableFunc(p.fields, func(a, b tableField) int { return strings.Compare(a.group, b.group) })
	p.idAt = slices.IndexFunc(p.fields, func(f tableField) bool { return id != "" && f.column == id })
}

// mapped reads --map, and checks that the columns of all flags exist.
func (f *tableFlags) mapped(columns []string) (map[string]string, error) {
	exists := func(flag, column string) error {
		if column != "" && slices.Contains(columns, column) {
			return nil
		}
		return fmt.Errorf("%s: the file has no column %q; its columns are %s", flag, column, strings.Join(columns, ", "))
	}
	fields := map[string]string{}
	for _, text := range f.Map {
		at := strings.LastIndex(text, "=") // the name of a field has no =
		if at <= 0 {
			return nil, usagef("--map: must be COLUMN=FIELD, got %q", text)
		}
		column := text[:at]
		if err := exists("--map", column); err != nil {
			return nil, err
		}
		if _, twice := fields[column]; twice {
			return nil, usagef("--map: column %s must be given once", column)
		}
		fields[column] = text[at+1:]
	}
	if f.VectorColumn != "" {
		if err := exists("--vector-column", f.VectorColumn); err != nil {
			return nil, err
		}
	}
	if f.IDColumn != "" {
		if err := exists("--id-column", f.IDColumn); err != nil {
			return nil, err
		}
		if _, twice := fields[f.IDColumn]; twice || f.IDColumn == f.VectorColumn {
			return nil, usagef("--id-column: column %s must not be given in --map or --vector-column, too", f.IDColumn)
		}
	}
	return fields, nil
}

// vectorColumn returns the column of the vectors.
func (f *tableFlags) vectorColumn(columns []string, mapped map[string]string) (string, error) {
	if f.VectorColumn != "" {
		if _, twice := mapped[f.VectorColumn]; twice {
			return "", usagef("--vector-column: column %s must not be given in --map, too", f.VectorColumn)
		}
		return f.VectorColumn, nil
	}
	found := ""
	for _, name := range vectorNames {
		if _, other := mapped[name]; other || !slices.Contains(columns, name) {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("the columns %s and %s may both have vectors; choose one with --vector-column", found, name)
		}
		found = name
	}
	if found == "" {
		return "", fmt.Errorf("no column has the name %s; name the column of the vectors with --vector-column; the columns are %s", strings.Join(vectorNames, ", "), strings.Join(columns, ", "))
	}
	return found, nil
}

// note names the columns that are not imported.
func (p *tablePlan) note() string {
	if len(p.ignored) == 0 {
		return ""
	}
	return fmt.Sprintf("these columns are not imported: %s; --map COLUMN=FIELD gives a column a field", strings.Join(p.ignored, ", "))
}
