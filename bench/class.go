package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A machine class is the generation of the CPU and the number of cores, like
// amd-zen4-2-cores. Results and known misses are kept by class. The class comes from the
// numbers that the CPU reports, because virtual machines shorten its brand name: the name
// of Zen 4 and of Zen 5 may both be "AMD EPYC".

// generation is a range of CPU models.
type generation struct {
	vendor      string
	family      int
	first, last int // models
	name        string
	level       string // the best of levels that the CPUs of this generation have
}

// generations are the CPUs of servers and workstations. The numbers are those of Linux:
// arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h.
var generations = []generation{
	{"AMD", 0x17, 0x00, 0x2f, "zen1", "avx2"},
	{"AMD", 0x17, 0x50, 0x5f, "zen1", "avx2"},
	{"AMD", 0x17, 0x30, 0x4f, "zen2", "avx2"},
	{"AMD", 0x17, 0x60, 0x7f, "zen2", "avx2"},
	{"AMD", 0x17, 0x90, 0xaf, "zen2", "avx2"},
	{"AMD", 0x19, 0x10, 0x1f, "zen4", "avx512"},
	{"AMD", 0x19, 0x60, 0xaf, "zen4", "avx512"},
	{"AMD", 0x19, 0x00, 0x0f, "zen3", "avx2"},
	{"AMD", 0x19, 0x20, 0x5f, "zen3", "avx2"},
	{"AMD", 0x1a, 0x00, 0x2f, "zen5", "avx512"},
	{"AMD", 0x1a, 0x40, 0x4f, "zen5", "avx512"},
	{"AMD", 0x1a, 0x60, 0x7f, "zen5", "avx512"},
	{"Intel", 6, 0x3f, 0x3f, "haswell", "avx2"},
	{"Intel", 6, 0x4f, 0x4f, "broadwell", "avx2"},
	{"Intel", 6, 0x55, 0x55, "cascade-lake", "avx512"}, // also Skylake, which lacks VNNI, and Cooper Lake
	{"Intel", 6, 0x6a, 0x6a, "ice-lake", "avx512"},
	{"Intel", 6, 0x6c, 0x6c, "ice-lake", "avx512"},
	{"Intel", 6, 0x8f, 0x8f, "sapphire-rapids", "amx"},
	{"Intel", 6, 0xcf, 0xcf, "emerald-rapids", "amx"},
	{"Intel", 6, 0xad, 0xae, "granite-rapids", "amx"},
	{"Intel", 6, 0xaf, 0xaf, "sierra-forest", "avxvnni"},
}

// levels are the instruction sets that a class distinguishes, best first, each with the
// feature that shows it.
var levels = []struct{ name, feature string }{
	{"amx", "AMXINT8"}, {"avx512", "AVX512VNNI"}, {"avxvnni", "AVXVNNI"}, {"avx2", "AVX2"}, {"i8mm", "I8MM"}, {"dotprod", "ASIMDDP"},
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// class returns the name of the machine's class. The level follows the generation if it
// is not the usual one, for example because the hypervisor hides AMX, and if the
// generation is unknown. An unknown generation is named after the CPU's numbers or, if it
// reports none, after its brand name.
func (m *machine) class() string {
	level := ""
	for _, l := range levels {
		if slices.Contains(m.Features, l.feature) {
			level = l.name
			break
		}
	}
	parts := []string{m.Vendor}
	i := slices.IndexFunc(generations, func(g generation) bool {
		return g.vendor == m.Vendor && g.family == m.Family && g.first <= m.Model && m.Model <= g.last
	})
	switch {
	case i >= 0:
		parts = append(parts, generations[i].name)
		if generations[i].level == level {
			level = ""
		}
	case m.Family != 0:
		parts = append(parts, "family", strconv.Itoa(m.Family), "model", strconv.Itoa(m.Model))
	default:
		parts = []string{m.CPU}
	}
	parts = append(parts, level, strconv.Itoa(m.Cores), "cores")
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(strings.Join(parts, "-")), "-"), "-")
}
