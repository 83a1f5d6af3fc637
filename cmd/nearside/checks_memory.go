package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryLimit finds the lowest memory limit of this process's control groups. root is
// the root of the file system, which tests replace.
func memoryLimit(root string) check {
	c := check{Name: "memory", State: stateOK}
	total := memTotal(filepath.Join(root, "proc/meminfo"))
	limit := cgroupLimit(root)
	switch {
	case limit > 0 && (total == 0 || limit < total):
		c.Value = showBytes(limit) + " by control group"
		if total > 0 {
			c.Value += ", of " + showBytes(total)
		}
		c.Advice = fmt.Sprintf("set limits.memory to about %s, so that writes are refused before the process is killed", showBytes(limit/4*3))
	case total > 0:
		c.Value = showBytes(total) + ", no limit by control group"
	default:
		c.Value = "unknown"
	}
	return c
}

// memTotal returns the memory of the machine in bytes; 0: unknown.
func memTotal(path string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54) // 0 if it is not a number
			return n << 10
		}
	}
	return 0
}

// cgroupLimit returns the lowest memory limit of this process's control group and its
// parents; 0: no limit. Version 2 has one tree of groups, version 1 has a tree for
// memory.
func cgroupLimit(root string) uint64 {
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	lowest := uint64(0)
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		tree, file := "sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			tree, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			text, err := os.ReadFile(filepath.Join(root, tree, dir, file))
			n, parseErr := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // "max", which is not a number, means no limit
			if err == nil && parseErr == nil && n < 1<<62 && (lowest == 0 || n < lowest) {
				lowest = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return lowest
}
