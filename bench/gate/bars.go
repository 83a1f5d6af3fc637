// Package gate holds the bars for speed and compares measurements with them.
//
// A Bar is a bound on one figure. The figure is usually a ratio of two times or speeds of
// the same run: nearside's, and that at the limit of the machine or of another library.
// Judge gives each bar a Verdict. A bar that could not be met is listed in
// bench/known-misses.md with its measurement and its cause. It is a known miss as long as
// it is not worse than this measurement by more than noiseFactor.
package gate

// Bar is a bound on a figure.
type Bar struct {
	ID       string
	Workload string
	Figure   string // what is measured, with its unit unless it is a ratio
	AtMost   bool   // Bound is an upper bound; otherwise it is a lower bound
	Bound    float64
}

// meets reports whether a value is within the bound.
func (b *Bar) meets(value float64) bool {
	if b.AtMost {
		return value <= b.Bound
	}
	return value >= b.Bound
}

const (
	u8One       = "uint8, 1 query, 1 thread, 512 MiB set"
	u8Many      = "uint8, 64 queries, per core"
	u8Some      = "uint8, 16 queries, per core"
	avx2        = ", NEARSIDE_SIMD=avx2"
	together    = "uint8, 1 reference of 5 pictures, 1 thread, fuse "
	f32One      = "float32 exact, 1 query"
	f32Many     = "float32, 64 queries, per core"
	listPart    = "filter selecting 1 %, contiguous (one list)"
	timePart    = "filter selecting 1 %, contiguous (one time range)"
	scattered   = "filter selecting 1 %, scattered"
	events      = "events of 60 days, by arrival: "
	fullScan    = "x the time of the full scan"
	besideCross = "HTTP, list of 1,000, 200 requests/s, during a cross match of 50,000 x 50,000"
	amxMany     = "uint8, 64 references, per core, NEARSIDE_SIMD=amx"
	amxMost     = "uint8, 256 references, per core, NEARSIDE_SIMD=amx"
	tenMillion  = "10M rows of uint8 x 512: "
	httpMany    = "HTTP, uint8 x 512, 64 clients, load generator on the same cores"
)

// Bars are all bars. The times are for 512 dimensions and include the selection of the top
// 10.
var Bars = []Bar{
	{"u8-1-stream", u8One, "x stream probe", false, 1.0},
	{"u8-1-faiss-recorded", u8One, "x FAISS 1.15 QT_8bit_direct, as recorded beside a probe", false, 1.4},
	{"u8-1-faiss-sq8", u8One, "x FAISS SQ8, as installed", false, 3},
	{"u8-64-peak", u8Many, "x VNNI peak", false, 0.80},
	{"u8-64-faiss", u8Many, "x FAISS, its fastest 8-bit index", false, 8},
	{"u8-16-limit", u8Some, "x min(VNNI peak, 16 x stream probe)", false, 0.68},
	{"u8-16-faiss", u8Some, "x FAISS, its fastest 8-bit index", false, 5},
	{"avx2-u8-1-stream", u8One + avx2, "x stream probe", false, 0.85},
	{"avx2-u8-1-faiss", u8One + avx2, "x FAISS, its fastest 8-bit index", false, 1},
	{"avx2-u8-64-peak", u8Many + avx2, "x VPMADDWD peak", false, 0.6},
	{"avx2-u8-64-faiss", u8Many + avx2, "x FAISS, its fastest 8-bit index", false, 1},
	{"avx2-u8-16-faiss", u8Some + avx2, "x FAISS, its fastest 8-bit index", false, 1},
	{"avxvnni-u8-64-avx2", u8Many + ", NEARSIDE_SIMD=avxvnni, tiles alone", "x AVX2", false, 1.5},
	{"amx-u8-64-vnni", amxMany, "x VNNI peak", false, 1.3},
	{"amx-u8-256-vnni", amxMost, "x VNNI peak", false, 2.3},
	{"large-1000", u8Many + ", limit 1,000", "x min(VNNI or AMX peak, 64 x stream probe)", false, 0.7},
	{"large-100000", "uint8, 1 query, 1 thread, limit 100,000 of 1M rows", "x (1.5 x the time of limit 10 + 100 ns per match)", true, 1},
	{"group-10", "uint8, 1 query, 1 thread, top 10 persons of 1M pictures", "x the time of the top 10 rows", true, 1.3},
	{"together-best", together + "best", "x the time of the same pictures as 5 references", true, 1.05},
	{"together-mean", together + "mean", "x the time of the same pictures as 5 references", true, 1.05},
	{"f32-1-u8", f32One, "x the time of the uint8 scan of the same number of rows", true, 1.25},
	{"f32-1-vek", f32One, "x vek32", false, 3},
	{"f32-64-fma", f32Many, "x FMA peak", false, 0.82},
	{"f32-64-sgemm", f32Many, "x OpenBLAS sgemm", false, 1.3},
	{"filter-list", listPart, fullScan, true, 0.03},
	{"filter-time", timePart, fullScan, true, 0.03},
	{"filter-scattered", scattered, fullScan, true, 0.20},
	{"avx2-filter-scattered", scattered + avx2, fullScan + ", x the same with avx512", true, 1.3},
	{"avxvnni-filter-scattered", scattered + ", NEARSIDE_SIMD=avxvnni", fullScan + ", x the same with avx512", true, 1.3},
	{"events-day", events + "one day", fullScan, true, 0.05},
	{"events-day-city-age", events + "one day, city, ages", fullScan, true, 0.03},
	{"events-city-age", events + "city, ages", fullScan, true, 0.3},
	{"events-worst", events + "the slowest filter", fullScan, true, 1.1},
	{"events-filter", events + "the slowest filter, without its scan", fullScan, true, 0.12},
	{"lists-memory", "100,000 lists", "bytes a list, beside its rows", true, 100},
	{"list-100-of-10m", "match within a list of 100 rows among 10M", "us, median in the engine", true, 30},
	{"http-64-peak", httpMany, "x VNNI peak of all cores", false, 0.5},
	{"amx-http-256", "HTTP, uint8 x 512, 256 clients, NEARSIDE_SIMD=amx", "x the throughput with avx512", false, 1.6},
	{"http-64-1", httpMany, "x the pairs/s of one client", false, 4},
	{"http-list-p50", "HTTP, list of 1,000, 1 client", "ms, median over loopback", true, 0.5},
	{"beside-cross-p50", besideCross, "x p50 without it", true, 5},
	{"beside-cross-p99", besideCross, "x p99 without it", true, 10},
	{"audit-match", "HTTP, list of 1,000, 64 clients, an audit of matches", "x the throughput without it", false, 0.95},
	{"proxy-list-p50", "HTTP, list of 1,000 at a remote, 1 client", "ms added to the time of the remote itself", true, 0.5},
	{"proxy-64", "HTTP, 64 clients, the list at a remote on the same cores", "x the throughput of the remote itself", false, 0.8},
	{"lua-cost-prefilter", "Lua: cost and prefilter of one candidate set", "us added", true, 10},
	{"lua-where", "Lua: a prefilter of one comparison", "ms per million rows", true, 1},
	{"lua-event-request", "Lua: an event", "us added to its request", true, 2},
	{"lua-event-plugin", "Lua: an event", "us in the plugin", true, 10},
	{"lua-event-throughput", "HTTP, 64 clients, an event plugin active", "x without it", false, 0.95},
	{"lua-request-results", "Lua: request and results of five lines each, 10 rows", "us added", true, 40},
	{"lua-prefilters", "HTTP, list of 1,000, 64 clients, three plugins with prefilters", "x without them", false, 0.75},
	{"lua-handle-event", "Lua: events in one state", "events/s", false, 100_000},
	{"lua-event-import", "import of uint8 x 512 by HTTP, a plugin receives every change", "x without it", false, 0.9},
	{"lua-redis", "plugin redis_ingest, uint8 x 512, sync on, one state", "entries/s", false, 10_000},
	{"import", "import of uint8 x 512, sync on, with the command line", "rows/s", false, 250_000},
	{"import-http", "import of uint8 x 512, sync on, lines with base64 in one HTTP request", "rows/s", false, 200_000},
	{"restart", "restart, page cache warm", "s from exec to the first answer over all rows", true, 1},
	{"memory", "resident memory of a server", "x (rows x (descriptor + 128 B) + 250 MB)", true, 1},
	{"import-10m", tenMillion + "import with the command line", "x the rate of the first tenth", false, 0.8},
	{"stop-10m", tenMillion + "a stop right after an import", "s", true, 2},
	{"disk-10m", tenMillion + "disk space when no work is left", "x the bytes of the descriptors", true, 2.3},
	{"restart-10m", tenMillion + "restart, page cache warm", "GB of segments/s from exec to the first answer over all rows", false, 1.2},
}
