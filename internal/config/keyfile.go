package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"

	"nearside/internal/access"
)

// KeyReport is what CheckKeyFile found.
type KeyReport struct {
	Keys    int      // that were read
	Faults  []string // malformed and duplicate entries
	Expired []string // keys that have expired
}

// CheckKeyFile reads the keys of a file. The file is a configuration, whose other sections are
// ignored, or a list of keys.
func CheckKeyFile(name string, now time.Time) (KeyReport, error) {
	data, err := os.ReadFile(name)
	switch {
	case err != nil:
		return KeyReport{}, fmt.Errorf("config: %w", err)
	case len(data) > fileBytesMax:
		return KeyReport{}, fmt.Errorf("config: %s: must have at most %d bytes", name, fileBytesMax)
	}
	raw, err := rawKeys(data)
	if err != nil {
		return KeyReport{}, fmt.Errorf("config: %s: %w", name, err)
	}
	var report KeyReport
	a := Default().Access
	bad := faults{}
	for i, entry := range raw { // one by one, so that the good ones are checked for duplicates
		k, err := record(access.Key{}, keySettings).parse(entry)
		if err != nil {
			bad = append(bad, withPath(fmt.Sprintf("access.keys[%d]", i), err)...)
			k = access.Key{Name: fmt.Sprintf("\x00%d", i), Roles: []access.Role{access.Match}} // keeps the place of the entry
			k.SHA256[0], k.SHA256[1], k.SHA256[2] = byte(i), byte(i>>8), 1
		}
		a.Keys = append(a.Keys, k)
	}
	bad = append(bad, a.check()...)
	for _, err := range bad.lines("") {
		report.Faults = append(report.Faults, err.Error())
	}
	slices.Sort(report.Faults)
	report.Keys, report.Expired = len(raw), a.expired(now)
	return report, nil
}

// rawKeys returns the entries of access.keys.
func rawKeys(data []byte) ([]any, error) {
	text := string(data)
	if first := firstCharacter(text); first == '-' || first == '[' {
		text = "access:\n  keys:\n" + indent(text)
	}
	parsed, err := yaml.Parser().Unmarshal([]byte(text))
	if err != nil {
		return nil, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	section, _ := parsed["access"].(map[string]any)
	if section == nil || section["keys"] == nil {
		return nil, errors.New("must have a list access.keys, got none")
	}
	keys, ok := section["keys"].([]any)
	if !ok {
		return nil, errors.New("access.keys: must be a list")
	}
	return keys, nil
}

// firstCharacter returns the first character of the content.
func firstCharacter(text string) byte {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line != "---" {
			return line[0]
		}
	}
	return 0
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "---" {
			b.WriteString("    " + line)
		}
	}
	return b.String()
}

// KeyLine returns the line of access.keys for a key, in YAML.
func KeyLine(k access.Key) string {
	var parts []string
	for _, s := range keySettings(&k) {
		switch v := s.value.get().(type) {
		case nil:
		case int:
			if v != 0 {
				parts = append(parts, fmt.Sprintf("%s: %d", s.key, v))
			}
		case []any:
			texts := make([]string, len(v))
			for i := range v {
				texts[i] = fmt.Sprint(v[i])
			}
			if len(v) > 0 {
				parts = append(parts, fmt.Sprintf("%s: [%s]", s.key, strings.Join(texts, ", ")))
			}
		default:
			parts = append(parts, fmt.Sprintf("%s: %q", s.key, v))
		}
	}
	return "- {" + strings.Join(parts, ", ") + "}"
}

// CheckKeyName returns why a text cannot be the name of a key, or nil.
func CheckKeyName(name string) error {
	_, err := keyName.parse(name)
	return err
}
