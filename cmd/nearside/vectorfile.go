package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"nearside/internal/vectors"
	"nearside/matcher"
)

// vectorFile is an open file of vectors that are descriptors of a version.
type vectorFile struct {
	file *os.File
	rows *vectors.Reader
}

// openVectors opens the file at path and checks that its vectors are of
// version v of the server.
func openVectors(path string, format vectors.Format, v *matcher.Version) (*vectorFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	rows, err := vectors.NewReader(file, format)
	if err == nil {
		err = checkVersion(rows, v)
	}
	if err != nil {
		closeRead(file)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &vectorFile{file, rows}, nil
}

func (f *vectorFile) close() { closeRead(f.file) }

// checkVersion says why rows are no descriptors of v.
func checkVersion(rows *vectors.Reader, v *matcher.Version) error {
	if rows.Element().String() != v.Encoding.String() || rows.Dim() != v.Length {
		return fmt.Errorf("vectors of %d %s are no descriptors of version %d, which has %d %s",
			rows.Dim(), rows.Element(), v.Number, v.Length, v.Encoding)
	}
	return nil
}

// versionOf returns the version that the user named, from the server's.
func versionOf(number uint32, server *serverConfig) (*matcher.Version, error) {
	v := server.versions.Version(number)
	if v == nil {
		return nil, fmt.Errorf("--version: the server has no version %d; its numbers are %s", number, versionNumbers(server.versions))
	}
	return v, nil
}

func versionNumbers(r *matcher.Registry) string {
	text := ""
	var textSb57 strings.Builder
	for i, v := range r.Versions() {
		if i > 0 {
			textSb57.WriteString(", ")
		}
		textSb57.WriteString(strconv.FormatUint(uint64(v.Number), 10))
	}
	text += textSb57.String()
	return text
}
