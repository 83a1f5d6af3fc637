package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"nearside/matcher/memory"
	"nearside/matcher/store"
)

// freeWanted is what is comfortable beside the data.
const freeWanted = 1 << 30

func dataChecks(dir string) []check {
	c := check{Name: "data directory", State: stateOK}
	info, err := store.Inspect(dir)
	switch {
	case err != nil:
		c.State, c.Value, c.Advice = stateFail, err.Error(), "check path and permissions, as the user that serves"
		return []check{c}
	case !info.Exists:
		c.Value = info.Dir + " is not there yet; serve makes it"
	case info.Fault != nil:
		c.State, c.Value = stateFail, info.Fault.Error()
		c.Advice = "nothing was touched; restore a copy, or name another directory with data_dir"
	case info.InUse:
		c.Value = fmt.Sprintf("%s: in use by a server, %d commits, %s", info.Dir, info.Commits, showBytes(uint64(info.Bytes)))
	default:
		c.Value = fmt.Sprintf("%s: format %d, %d commits, %s", info.Dir, info.Format, info.Commits, showBytes(uint64(info.Bytes)))
	}
	checks := []check{c}
	if info.Exists && info.Fault == nil {
		checks = append(checks, segments(info.Cache, info.InUse))
	}
	return append(checks, freeDisk(info.Dir))
}

// segments looks at the copy from which the next start is fast.
func segments(dir string, inUse bool) check {
	c := check{Name: "segments", State: stateOK}
	s, err := memory.InspectSegments(dir)
	switch {
	case err != nil && inUse:
		c.Value = "being written"
	case err != nil:
		c.State, c.Value = stateWarn, err.Error()
		c.Advice = "nothing is lost: the next start reads everything from the database, which takes longer, and makes them again"
	case s.Files == 0:
		c.Value = "none; the next start reads everything from the database"
	default:
		c.Value = fmt.Sprintf("%d files, %d rows, %s", s.Files, s.Rows, showBytes(uint64(s.Bytes)))
	}
	return c
}

// freeDisk looks at the file system of dir, or of where it would be made.
func freeDisk(dir string) check {
	c := check{Name: "free disk", State: stateOK}
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	for errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &fs)
	}
	if err != nil {
		c.State, c.Value = stateWarn, "unknown: "+err.Error()
		return c
	}
	block := uint64(fs.Bsize)
	free := fs.Bavail * block
	c.Value = fmt.Sprintf("%s of %s", showBytes(free), showBytes(fs.Blocks*block))
	if free < freeWanted {
		c.State = stateWarn
		c.Advice = "writes are refused before the disk is full; make room, or move data_dir"
	}
	return c
}
