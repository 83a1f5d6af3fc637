package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nearside/matcher/store"
	"nearside/simd"
)

func cpuChecks() []check {
	cpu := check{Name: "cpu", State: stateOK, Value: fmt.Sprintf("%s, %d cores in use", simd.CPUName(), runtime.GOMAXPROCS(0))}
	features := check{Name: "cpu features", State: stateOK, Value: strings.Join(simd.Features(), " ")}
	if features.Value == "" {
		features.Value = "none that a kernel uses"
	}
	kernel := check{Name: "kernel", State: stateOK}
	best, err := simd.Select("auto")
	if err != nil {
		kernel.State, kernel.Value = stateFail, err.Error()
		return []check{cpu, features, kernel}
	}
	var missing []string
	for _, k := range simd.Kernels() {
		if !k.Usable() {
			missing = append(missing, k.Name())
		}
	}
	kernel.Value = best.Name()
	switch {
	case best.Name() == "generic":
		kernel.State = stateWarn
		kernel.Advice = "matching is several times slower than with AVX2 or AVX-512; in a virtual machine, pass the host's CPU through"
	case len(missing) > 0:
		kernel.Advice = "faster on a CPU that can run " + strings.Join(missing, ", ")
	}
	return []check{cpu, features, kernel}
}

func systemChecks() []check {
	return []check{hugePages(), openFiles(), lockedMemory(), addressSpace(), memoryLimit("/")}
}

func hugePages() check {
	c := check{Name: "huge pages", State: stateOK}
	const path = "/sys/kernel/mm/transparent_hugepage/enabled"
	text, err := os.ReadFile(path)
	if err != nil {
		c.Value = "unknown"
		return c
	}
	c.Value = strings.TrimSpace(string(text))
	if strings.Contains(c.Value, "[never]") {
		c.State = stateWarn
		c.Advice = "large scans miss the TLB more often; as root: echo madvise > " + path
	}
	return c
}

// openFilesWanted is what the store and a few thousand connections need.
const openFilesWanted = 8192

func openFiles() check {
	c := check{Name: "open files", State: stateOK}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		c.Value = "unknown"
		return c
	}
	// Go raises the soft limit to the hard one for itself.
	c.Value = showLimit(limit.Cur)
	if limit.Cur < openFilesWanted {
		c.State = stateWarn
		c.Advice = fmt.Sprintf("connections may be refused under load; ulimit -n %d, or LimitNOFILE= of the service", 8*openFilesWanted)
	}
	return c
}

func lockedMemory() check {
	c := check{Name: "locked memory", State: stateOK, Value: "unknown"}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err == nil {
		c.Value = showByteLimit(limit.Cur) + " (none is needed)"
	}
	return c
}

func addressSpace() check {
	c := check{Name: "address space", State: stateOK, Value: "unknown"}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil {
		return c
	}
	c.Value = showByteLimit(limit.Cur)
	if limit.Cur != unix.RLIM_INFINITY {
		c.State = stateWarn
		c.Advice = "more is reserved than used, so a limit here ends the process too early; ulimit -v unlimited, and limits.memory instead"
	}
	return c
}

// memoryLimit looks for the tightest memory limit of this process's control
// groups, below root.
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

// memTotal is the memory of the machine in bytes, 0 if it is unknown.
func memTotal(path string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54) // 0 if it is no number
			return n << 10
		}
	}
	return 0
}

// cgroupLimit is the lowest limit from this process's group upwards, 0 for
// none. Version 2 has one tree; version 1 has one for memory.
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
			n, parseErr := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // "max" is none
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
	return []check{c, freeDisk(info.Dir)}
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

func showLimit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

func showByteLimit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return showBytes(n)
}

// showBytes rounds n to a unit, with one digit behind the point.
func showBytes(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
