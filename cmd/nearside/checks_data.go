package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"nearside/matcher/memory/segment"
	"nearside/matcher/store"
)

// freeWanted is the free disk space, in bytes, below which doctor warns.
const freeWanted = 1 << 30

const pathAdvice = "check the path and its permissions as the user that runs serve"

func dataChecks(dir string) []check {
	c := check{Name: "data directory", State: stateOK}
	info, err := store.Inspect(dir)
	switch {
	case err != nil:
		c.State, c.Value, c.Advice = stateFail, err.Error(), pathAdvice
		return []check{c}
	case info.Fault != nil:
		c.State, c.Value = stateFail, info.Fault.Error()
		c.Advice = "nothing was changed; restore a backup, or set data_dir to another directory"
		if _, ok := errors.AsType[unix.Errno](info.Fault); ok {
			c.Advice = pathAdvice
			return []check{c} // the path cannot be used, so its free disk space does not matter
		}
	case info.Damage != "":
		c.State, c.Value = stateWarn, info.Damage
		c.Advice = "nothing can be written; do not delete segments, export all objects or restore a backup (docs/operating.md, Start)"
	case !info.Exists:
		c.Value = info.Dir + " does not exist yet; serve creates it"
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

// segments checks the segments, the cache that makes the next start fast.
func segments(dir string, inUse bool) check {
	c := check{Name: "segments", State: stateOK}
	s, err := segment.Inspect(dir)
	switch {
	case err != nil && inUse:
		c.Value = "being written"
	case err != nil:
		c.State, c.Value = stateWarn, err.Error()
		c.Advice = "no data is lost; the next start takes longer, because it reads everything from the database, and writes new segments"
	case s.Files == 0:
		c.Value = "no files; the next start reads everything from the database"
	default:
		c.Value = fmt.Sprintf("%d files, %d rows, %s", s.Files, s.Rows, showBytes(uint64(s.Bytes)))
	}
	return c
}

// freeDisk checks the file system of dir. If dir does not exist, it checks that of the
// nearest existing parent.
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
		c.Advice = "writes are refused before the disk is full; free disk space, or move data_dir"
	}
	return c
}
