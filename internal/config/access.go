package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"nearside/internal/access"
	"nearside/matcher"
)

func keySettings(k *access.Key) []setting {
	return []setting{
		{key: "name", required: true, value: as(&k.Name, keyName)},
		{key: "sha256", required: true, value: as(&k.SHA256, keyHash)},
		{key: "roles", required: true, value: as(&k.Roles, listOf(enum(access.Roles...)))},
		{key: "account_id", value: as(&k.Account, optionalID)},
		{key: "lists", value: as(&k.Lists, listOf(id))},
		{key: "rate", value: as(&k.Rate, rate)},
		{key: "concurrent", value: as(&k.Concurrent, count(0, countMax))},
		{key: "expires", value: as(&k.Expires, moment)},
	}
}

// check returns the faults of the keys that are not faults of a single value.
func (a *Access) check() faults {
	var bad faults
	if n := len(a.Keys); n > access.KeysMax {
		bad = append(bad, fault{"access.keys", fmt.Sprintf("must have at most %d items, got %d", access.KeysMax, n)})
	}
	names, hashes := map[string]int{}, map[[32]byte]int{}
	for i := range a.Keys {
		k, path := &a.Keys[i], fmt.Sprintf("access.keys[%d].", i)
		if err := k.Check(); err != nil {
			field, text, _ := strings.Cut(err.Error(), ": ")
			bad = append(bad, fault{path + field, text})
		}
		if first, given := names[k.Name]; given {
			bad = append(bad, fault{path + "name", fmt.Sprintf("%q is also the name of access.keys[%d]", k.Name, first)})
		}
		if first, given := hashes[k.SHA256]; given {
			bad = append(bad, fault{path + "sha256", fmt.Sprintf("is also the hash of access.keys[%d]; each key needs its own", first)})
		}
		names[k.Name], hashes[k.SHA256] = i, i
		bad = append(bad, duplicates(path+"lists", k.Lists)...)
	}
	return bad
}

// expired returns a warning for each key that has expired.
func (a *Access) expired(now time.Time) (warnings []string) {
	for i := range a.Keys {
		if k := &a.Keys[i]; k.Expired(now) {
			warnings = append(warnings, fmt.Sprintf("access.keys[%d].expires: the key %s expired at %s and is refused; remove it, or replace it by a new one",
				i, k.Name, k.Expires.Format(time.RFC3339)))
		}
	}
	return warnings
}

// keyName is the kind of the name of a key. Logs and plugins get it, so it must not be the
// key itself.
var keyName = text(func(s string) error {
	if access.HasCredential(s) {
		return errors.New("must be a name, got a key")
	}
	return checkMatcherName(s)
})

// keyHash is the kind of the SHA-256 of a key, in hexadecimal digits. Its faults do not
// show the value, because it may be the key itself.
var keyHash = kind[[32]byte]{
	show: func(h [32]byte) any { return hex.EncodeToString(h[:]) },
	parse: func(raw any) (hash [32]byte, err error) {
		s, ok := raw.(string)
		switch decoded, err := hex.DecodeString(s); {
		case !ok:
			return hash, errors.New("must be text with 64 hexadecimal digits; put it in quotes")
		case access.IsKey(s):
			return hash, errors.New("must be the SHA-256 of the key, got a key; a key that was in a file should not be used any more: make a new one with nearside key new")
		case err != nil || len(decoded) != len(hash):
			return hash, fmt.Errorf("must be 64 hexadecimal digits, the SHA-256 of the key, got %d characters", len(s))
		default:
			return [32]byte(decoded), nil
		}
	},
}

// optionalID is the kind of an ID that may be absent. The nil UUID counts as absent.
var optionalID = kind[matcher.ID]{
	show: func(v matcher.ID) any {
		if v.IsZero() {
			return nil
		}
		return v.String()
	},
	parse: func(raw any) (matcher.ID, error) {
		v, err := id.parse(raw)
		if err == nil && v.IsZero() {
			return v, fmt.Errorf("must not be the nil UUID, got %s", v)
		}
		return v, err
	},
}

var rate = kind[access.Rate]{
	show: func(r access.Rate) any {
		if r.Requests == 0 {
			return nil
		}
		return r.String()
	},
	parse: func(raw any) (access.Rate, error) {
		s, err := parseText(raw)
		if err != nil {
			return access.Rate{}, err
		}
		return access.ParseRate(s)
	},
}

// moment is the kind of a point in time. YAML reads a time without quotes as a time.
var moment = kind[time.Time]{
	show: func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.UTC().Format(time.RFC3339)
	},
	parse: func(raw any) (time.Time, error) {
		if t, ok := raw.(time.Time); ok {
			return t.UTC(), nil
		}
		if s, ok := raw.(string); ok {
			if t, err := time.Parse(time.RFC3339, s); err == nil {
				return t.UTC(), nil
			}
		}
		return time.Time{}, fmt.Errorf("must be a time such as 2027-01-01T00:00:00Z, got %s", quote(raw))
	},
}

var anyText = text(func(s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("must be text without zero bytes, got %s", quote(s))
	}
	return nil
})

// fileName is the kind of the path of a file. An empty text means no file.
var fileName = anyText

// maskHashes masks the hashes of keys, which shown has in the form of the file.
func maskHashes(shown any) {
	keys, _ := shown.([]any)
	for _, k := range keys {
		if fields, ok := k.(map[string]any); ok {
			fields["sha256"] = masked
		}
	}
}
