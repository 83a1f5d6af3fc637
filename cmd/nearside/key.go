package main

import (
	"encoding/json"
	"fmt"
	"time"

	"nearside/internal/access"
	"nearside/internal/config"
	"nearside/matcher"
)

type keyCmd struct {
	New   keyNewCmd   `cmd:"" help:"Make a new key."`
	Check keyCheckCmd `cmd:"" help:"Check the keys of a configuration."`
}

type keyNewCmd struct {
	Name       string   `arg:"" help:"Name of the key, which logs and plugins see."`
	Role       []string `help:"What the key may do: match, read, write or admin. Each includes the ones before it." default:"match" placeholder:"ROLE"`
	Account    string   `help:"The only account that the key sees." placeholder:"ID"`
	List       []string `help:"A list that the key sees; it sees no others." placeholder:"ID"`
	Rate       string   `help:"Requests per second, minute or hour, such as 200/s." placeholder:"RATE"`
	Concurrent int      `help:"Requests at once." placeholder:"N"`
	Expires    string   `help:"When the key ends: a duration from now, such as 90d, or a time." placeholder:"WHEN"`
	JSON       bool     `help:"Print JSON."`
}

// Help is printed below the flags.
func (*keyNewCmd) Help() string {
	return `Examples:

    nearside key new gate-7 --rate 200/s --expires 90d
    nearside key new importer --role write --account 6c9a4f0e-0b51-4d6e-9c39-0a2f4be1c001

The first line of the output is the key, which cannot be shown again. The second line belongs into the list access.keys of the configuration. It has only the SHA-256 of the key.`
}

// Run prints a new key and its line in the configuration.
func (c *keyNewCmd) Run(s *system) error {
	k, err := c.key(time.Now())
	if err != nil {
		return err
	}
	secret := access.NewKey()
	k.SHA256 = access.HashKey(secret)
	line := config.KeyLine(k)
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(map[string]string{"key": secret, "config": line})
	}
	_, err = fmt.Fprintf(s.stdout, "%s\n%s\n", secret, line)
	return err
}

// key returns the key that the flags describe, without its hash.
func (c *keyNewCmd) key(now time.Time) (access.Key, error) {
	k := access.Key{Name: c.Name, Concurrent: c.Concurrent}
	var err error
	if err := config.CheckKeyName(c.Name); err != nil {
		return k, usagef("name: %v", err)
	}
	for _, text := range c.Role {
		role, err := access.ParseRole(text)
		if err != nil {
			return k, usagef("--role: %v", err)
		}
		k.Roles = append(k.Roles, role)
	}
	if c.Account != "" {
		if k.Account, err = matcher.ParseID(c.Account); err == nil && k.Account.IsZero() {
			err = fmt.Errorf("must not be the nil UUID, got %s", k.Account)
		}
		if err != nil {
			return k, usagef("--account: %v", err)
		}
	}
	for _, text := range c.List {
		id, err := matcher.ParseID(text)
		if err != nil {
			return k, usagef("--list: %v", err)
		}
		k.Lists = append(k.Lists, id)
	}
	if c.Rate != "" {
		if k.Rate, err = access.ParseRate(c.Rate); err != nil {
			return k, usagef("--rate: %v", err)
		}
	}
	if c.Concurrent < 0 {
		return k, usagef("--concurrent: must be at least 0, got %d", c.Concurrent)
	}
	if k.Expires, err = expiry(c.Expires, now); err != nil {
		return k, err
	}
	if err := k.Check(); err != nil {
		return k, usagef("%v", err)
	}
	return k, nil
}

// expiry parses --expires. An empty text means never.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		if !t.After(now) {
			return time.Time{}, usagef("--expires: must be in the future, got %s", text)
		}
		return t.UTC(), nil
	}
	span, err := config.ParseDuration(text)
	if err != nil || span <= 0 {
		return time.Time{}, usagef("--expires: must be a duration such as 90d, or a time such as 2027-01-01T00:00:00Z, got %q", text)
	}
	return now.Add(span).UTC().Truncate(time.Second), nil
}

type keyCheckCmd struct {
	File string `arg:"" help:"Configuration file, or a file with a list of keys."`
	JSON bool   `help:"Print JSON."`
}

// Help is printed below the flags.
func (*keyCheckCmd) Help() string {
	return `Example:

    nearside key check nearside.yaml

It reports entries of access.keys that are malformed, that have expired, or that have the name or the hash of another one. It does not check the rest of the file; nearside config check does.

Exit codes: 0 nothing to report, 1 at least one report, 2 wrong usage.`
}

// Run prints the faults, or the number of keys.
func (c *keyCheckCmd) Run(s *system) error {
	report, err := config.CheckKeyFile(c.File, time.Now())
	if err != nil {
		return err
	}
	good := len(report.Faults)+len(report.Expired) == 0
	if c.JSON {
		err = json.NewEncoder(s.stdout).Encode(map[string]any{
			"ok": good, "keys": report.Keys, "faults": append([]string{}, report.Faults...), "expired": append([]string{}, report.Expired...),
		})
	} else {
		for _, text := range append(report.Faults, report.Expired...) {
			if _, err := fmt.Fprintf(s.stderr, "nearside: %s: %s\n", c.File, text); err != nil {
				return err
			}
		}
		if good {
			_, err = fmt.Fprintf(s.stdout, "%s: %d keys, ok\n", c.File, report.Keys)
		}
	}
	if err == nil && !good {
		err = errReported
	}
	return err
}
