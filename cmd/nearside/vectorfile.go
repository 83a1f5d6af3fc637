package main

import (
	"fmt"
	"strconv"
	"strings"

	"nearside/internal/vectors"
	"nearside/matcher"
)

// vectorFile is an open file of vectors that fit a descriptor version.
type vectorFile struct {
	in   *inputFile
	rows *vectors.Reader
}

// openVectors opens the file at path and checks that its vectors fit version v.
func openVectors(path string, f inputFormat, v *matcher.Version) (*vectorFile, error) {
	in, err := openInput(path, f)
	if err != nil {
		return nil, err
	}
	rows, err := vectors.NewReader(in, f.format)
	if err == nil {
		err = checkRowsFit(rows, v)
	}
	if err != nil {
		in.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &vectorFile{in, rows}, nil
}

func (f *vectorFile) close() { f.in.close() }

// checkRowsFit returns an error if rows do not fit v.
func checkRowsFit(rows *vectors.Reader, v *matcher.Version) error {
	if rows.Element().String() != v.Encoding.String() || rows.Dim() != v.Length {
		err := fmt.Errorf("version %d needs vectors of %d %s, got %d %s",
			v.Number, v.Length, v.Encoding, rows.Dim(), rows.Element())
		if note := rows.Conversion(); note != "" {
			err = fmt.Errorf("%w (%s)", err, note)
		}
		return err
	}
	return nil
}

// versionOf returns the server's version with that number.
func versionOf(number uint32, server *serverConfig) (*matcher.Version, error) {
	v := server.versions.Version(number)
	if v == nil && server.hidden {
		return nil, fmt.Errorf("--version: must be a built-in version (%s), because the key may not read the versions of the server (GET /config needs the role admin), got %d", versionNumbers(server.versions), number)
	}
	if v == nil {
		return nil, fmt.Errorf("--version: must be a version of the server (%s), got %d", versionNumbers(server.versions), number)
	}
	return v, nil
}

func versionNumbers(r *matcher.Registry) string {
	var numbers []string
	for _, v := range r.Versions() {
		numbers = append(numbers, strconv.FormatUint(uint64(v.Number), 10))
	}
	return strings.Join(numbers, ", ")
}
