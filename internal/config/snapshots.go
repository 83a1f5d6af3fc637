package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"nearside/matcher"
)

// snapshotsDir is the folder of snapshots in the data directory.
const snapshotsDir = "snapshots"

// SnapshotsDir returns the folder of snapshots.
func (c *Config) SnapshotsDir() string {
	if c.Snapshots.Dir != "" {
		return c.Snapshots.Dir
	}
	return filepath.Join(c.DataDir, snapshotsDir)
}

// checkSnapshots returns a fault if the folder of snapshots is among the other files of the
// data directory.
func (c *Config) checkSnapshots() faults {
	data, err := filepath.Abs(c.DataDir)
	dir, err2 := filepath.Abs(c.SnapshotsDir())
	if err != nil || err2 != nil {
		return nil // the working directory is gone, which the start reports
	}
	inside, err := filepath.Rel(data, dir)
	outside := err != nil || inside == ".." || strings.HasPrefix(inside, ".."+string(filepath.Separator))
	if first, _, _ := strings.Cut(inside, string(filepath.Separator)); outside || first == snapshotsDir {
		return nil
	}
	return faults{{"snapshots.dir", fmt.Sprintf("must be outside data_dir, or in its folder %s, got %s", snapshotsDir, quote(c.Snapshots.Dir))}}
}

// checkRetention returns a fault for each key of lists.retention that is not the ID of a list.
func (c *Config) checkRetention() faults {
	var bad faults
	seen := map[matcher.ID]bool{}
	for _, text := range slices.Sorted(maps.Keys(c.Lists.Retention)) {
		switch id, err := matcher.ParseID(text); {
		case err != nil || id.IsZero():
			bad = append(bad, fault{"lists.retention", "keys must be ids of lists (UUIDs), got " + quote(text)})
		case seen[id]:
			bad = append(bad, fault{"lists.retention", quote(text) + " is given twice"})
		default:
			seen[id] = true
		}
	}
	return bad
}
