package main

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nearside/simd"
)

// machine describes where a result comes from.
type machine struct {
	CPU       string   `json:"cpu"`
	Features  []string `json:"features"`
	Cores     int      `json:"cores"`
	Caches    string   `json:"caches"`
	MemoryMB  int      `json:"memory_mb"`
	Kernel    string   `json:"kernel"`
	HugePages string   `json:"transparent_huge_pages"`
	Go        string   `json:"go"`
	Load      string   `json:"load_average"` // when the suite began
}

func describe() machine {
	m := machine{
		CPU: simd.CPUName(), Features: simd.Features(), Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		HugePages: selected(read("/sys/kernel/mm/transparent_hugepage/enabled")), Load: first(read("/proc/loadavg"), 3),
	}
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
		level, size := read(dir+"level"), read(dir+"size")
		if level != "" && read(dir+"type") != "Instruction" {
			caches = append(caches, "L"+level+" "+size)
		}
	}
	m.Caches = strings.Join(caches, ", ")
	return m
}

// read returns a small file's text, empty when there is none.
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// selected returns the word in brackets of "always [madvise] never".
func selected(text string) string {
	_, after, _ := strings.Cut(text, "[")
	word, _, found := strings.Cut(after, "]")
	if !found {
		return "unknown"
	}
	return word
}

// first returns the first n words.
func first(text string, n int) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(n, len(words))], " ")
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// slug is the machine's name for files.
func (m *machine) slug() string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(m.CPU), "-"), "-") + "-" + strconv.Itoa(m.Cores) + "-cores"
}
