package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nearside/simd"
)

// machine describes the machine on which a result was measured.
type machine struct {
	CPU       string   `json:"cpu"`
	Vendor    string   `json:"vendor"`
	Family    int      `json:"family"`
	Model     int      `json:"model"`
	Features  []string `json:"features"`
	Cores     int      `json:"cores"`
	Caches    string   `json:"caches"`
	MemoryMB  int      `json:"memory_mb"`
	Kernel    string   `json:"kernel"`
	HugePages string   `json:"transparent_huge_pages"`
	Go        string   `json:"go"`
	Load      string   `json:"load_average"` // when the suite started
}

func describeMachine() machine {
	m := machine{
		CPU: simd.CPUName(), Features: simd.Features(), Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		HugePages: bracketed(readText("/sys/kernel/mm/transparent_hugepage/enabled")), Load: firstWords(readText("/proc/loadavg"), 3),
	}
	m.Vendor, m.Family, m.Model = simd.CPUModel()
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMB = int(info.Totalram * uint64(info.Unit) / 1e6)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	var caches []string
	for i := range 8 {
		dir := "/sys/devices/system/cpu/cpu0/cache/index" + strconv.Itoa(i) + "/"
		level, size := readText(dir+"level"), readText(dir+"size")
		if level != "" && readText(dir+"type") != "Instruction" {
			caches = append(caches, "L"+level+" "+size)
		}
	}
	m.Caches = strings.Join(caches, ", ")
	return m
}

// readText returns the text of a small file, or "" if it cannot be read.
func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// bracketed returns the word in brackets in a text like "always [madvise] never".
func bracketed(text string) string {
	_, after, _ := strings.Cut(text, "[")
	word, _, found := strings.Cut(after, "]")
	if !found {
		return "unknown"
	}
	return word
}

// firstWords returns the first n words of a text.
func firstWords(text string, n int) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(n, len(words))], " ")
}
