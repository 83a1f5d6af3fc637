package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nearside/simd"
)

func cpuChecks() []check {
	cpu := check{Name: "cpu", State: stateOK, Value: fmt.Sprintf("%s, %d cores in use", simd.CPUName(), runtime.GOMAXPROCS(0))}
	features := check{Name: "cpu features", State: stateOK, Value: strings.Join(simd.Features(), " ")}
	if features.Value == "" {
		features.Value = "the kernels use none of the features of this CPU"
	}
	kernel := check{Name: "kernel", State: stateOK}
	best, err := simd.Select("auto")
	if err != nil {
		kernel.State, kernel.Value = stateFail, err.Error()
		return []check{cpu, features, kernel}
	}
	var missing []string // kernels that would be faster
	for _, k := range simd.Kernels() {
		if err := k.WhyUnusable(); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%v)", k.Name(), err))
		} else if k == best {
			missing = nil
		}
	}
	kernel.Value = fmt.Sprintf("%s, %.0f G products/s a core", best.Name(), productsPerSecond(best)/1e9)
	switch {
	case best.Name() == "generic":
		kernel.State = stateWarn
		kernel.Advice = "matching is several times slower than with AVX2, AVX-512 or AMX; in a virtual machine, enable the features of the host's CPU"
	case strings.HasPrefix(best.Name(), "neon"):
		kernel.Advice = "the speed of the kernels for arm64 has not been measured"
	case len(missing) > 0:
		kernel.Advice = "matching would be faster with a kernel that cannot be used: " + strings.Join(missing, "; ")
	}
	return []check{cpu, features, kernel}
}

// productsPerSecond measures for a moment how many products of bytes one core computes
// with k. Other load on the machine lowers it.
func productsPerSecond(k *simd.Kernel) float64 {
	begun, products := time.Now(), 0
	for time.Since(begun) < 5*time.Millisecond {
		products += k.ProbeU8(1 << 10)
	}
	return float64(products) / time.Since(begun).Seconds()
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
		c.Advice = "large scans are slower because of TLB misses; as root, run: echo madvise > " + path
	}
	return c
}

// openFilesWanted is enough for the store and a few thousand connections.
const openFilesWanted = 8192

func openFiles() check {
	c := check{Name: "open files", State: stateOK}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		c.Value = "unknown"
		return c
	}
	// The Go runtime raises the soft limit to the hard limit.
	c.Value = showLimit(limit.Cur)
	if limit.Cur < openFilesWanted {
		c.State = stateWarn
		c.Advice = fmt.Sprintf("connections may be refused under load; set ulimit -n %d, or LimitNOFILE= of the service", 8*openFilesWanted)
	}
	return c
}

func lockedMemory() check {
	c := check{Name: "locked memory", State: stateOK, Value: "unknown"}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err == nil {
		c.Value = showByteLimit(limit.Cur) + " (nearside locks no memory)"
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
		c.Advice = "nearside reserves more addresses than it uses, so this limit can end the process too early; set ulimit -v unlimited, and use limits.memory"
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

// showBytes returns n in the largest unit that fits, with one decimal place.
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
