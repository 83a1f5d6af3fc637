// Command bench measures nearside on this machine and writes what it finds:
// beside the limits of the machine, in turn with them, and beside other
// libraries.
//
//	go run ./bench            the suite: bench/results/<machine>.md, .json and pictures
//	go run ./bench -gates     the bars of PERFORMANCE alone, as a table; exit code 1 on a miss
//
// It runs in the root of the repository, after `make build`; -short takes fewer
// rows and rounds. Every engine configuration is compared with the generic
// kernel before it is timed.
//
// A dataset is a file of rows with the attributes that filters select; an
// engine is a matcher/memory over one, with a kernel and a number of workers; a
// workload is what is asked of it; limits are what the probes of simd reach
// beside it. A section of the suite adds figures to the report, and
// measurements of bars.
package main
