package main

import (
	"bytes"
	"fmt"
)

// recordedPeer is a figure of a library that the suite cannot run. Somebody measured it
// once; it belongs to no run of the suite.
type recordedPeer struct {
	peer, data, figure, where string
}

// recordedPeers are the recorded figures, for one thread.
var recordedPeers = []recordedPeer{
	{"FAISS 1.15, QT_8bit_direct", "uint8 x 512, 1 query", "28.9 ns per row", "AMD EPYC (Zen 4), beside a stream probe of 24 GB/s"},
	{"FAISS 1.15, QT_8bit_direct", "uint8 x 512, 16 queries", "35-42 M pairs/s", "AMD EPYC (Zen 4)"},
	{"FAISS 1.15, Flat", "float32 x 512, 1 query", "104 ns per row", "AMD EPYC (Zen 4)"},
	{"FAISS 1.15, Flat", "float32 x 512, 16 queries", "9 M pairs/s", "AMD EPYC (Zen 4)"},
	{"NumKong, C, no top k", "uint8 x 512, 1 query", "18.0 ns per row", "AMD EPYC (Zen 4)"},
	{"NumKong, C, no top k", "uint8 x 512, 16 queries", "109-122 M pairs/s", "AMD EPYC (Zen 4)"},
	{"NumKong, C, no top k", "uint8 x 512, 64 queries", "227-337 M pairs/s", "AMD EPYC (Zen 4)"},
	{"NumKong, AMX, no top k", "uint8, 1024 x 1024 x 1024", "1,680 G scalar operations/s (about 1.6 G pairs/s at 512 dimensions)", "Intel Sapphire Rapids, published by its authors"},
	{"NumKong, VNNI, no top k", "uint8, 1024 x 1024 x 1024", "329-402 G scalar operations/s", "Intel Sapphire Rapids, published by its authors"},
}

// writeRecorded writes the table of recorded figures.
func writeRecorded(b *bytes.Buffer) {
	b.WriteString("## Recorded figures of other libraries\n\nThe suite did **not** measure these figures. They were recorded once, on the machines named, with one thread. " +
		"Compare them with care.\n\n| library | workload | recorded figure | recorded on |\n|---|---|---|---|\n")
	for _, p := range recordedPeers {
		fmt.Fprintf(b, "| %s (recorded) | %s | %s | %s |\n", p.peer, p.data, p.figure, p.where)
	}
}
