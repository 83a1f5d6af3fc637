// Command bench measures nearside on this machine and writes a report. It compares
// nearside with the limits of the machine and with other libraries, alternating
// between them.
//
//	go run ./bench            the whole suite: bench/results/<class>.md, .json, pictures, and ratios.md
//	go run ./bench -gates     only the bars of package gate, as a table; exit code 1 on a miss
//	go run ./bench -table     no measurement: ratios.md, from the results of all machine classes
//
// It must run in the root of the repository, after `make build`. With -short it uses
// fewer rows and rounds. It compares the results of every engine configuration with
// the generic kernel before it measures their time.
//
// A dataset is a file of rows, with the attributes that filters select by. An engine
// is a Memory of package matcher/memory with the rows of a dataset, a kernel and a
// number of workers. A workload is a request to an engine. limits are the speeds that
// the probes of package simd reach. A section of the suite adds figures to the report
// and measurements of bars.
package main
