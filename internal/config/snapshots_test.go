package config

import (
	"strings"
	"testing"
)

func TestSnapshotsDir(t *testing.T) {
	check := func(data, dir, want string, valid bool) {
		t.Helper()
		c := Default()
		c.DataDir, c.Snapshots.Dir = data, dir
		if got := c.SnapshotsDir(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if bad := c.checkSnapshots(); (bad == nil) != valid {
			t.Errorf("%s in %s: %v", dir, data, bad)
		}
	}
	check("data", "", "data/snapshots", true)
	check("/srv/data", "/srv/data/snapshots/daily", "/srv/data/snapshots/daily", true)
	check("/srv/data", "/srv/data-copies", "/srv/data-copies", true)
	check("/srv/data", "/srv", "/srv", true)
	check("/srv/data", "/srv/..backup", "/srv/..backup", true)
	check("/srv/data", "/srv/data", "/srv/data", false)
	check("data", "data/pebble", "data/pebble", false)
	check("/srv/data", "/srv/data/x/../segments", "/srv/data/x/../segments", false)
}

func TestListRetention(t *testing.T) {
	for text, want := range map[string]string{
		"{x: 1d}": "must be ids of lists",
		"{00000000-0000-0000-0000-000000000000: 1d}":                                           "must be ids of lists",
		"{AA000000-0000-0000-0000-000000000001: 1d, aa000000-0000-0000-0000-000000000001: 2d}": "is given twice",
		"{aa000000-0000-0000-0000-000000000001: soon}":                                         "lists.retention.aa000000-0000-0000-0000-000000000001",
	} {
		_, _, err := Read(writeFile(t, "lists: {retention: "+text+"}\n"), nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
