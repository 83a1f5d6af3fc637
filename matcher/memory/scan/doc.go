// Package scan compares references with the rows of a selection and finds the nearest
// rows.
//
// A [Job] is a selection, together with the references of one request that are compared
// with it. A [Search] is one of these references: its descriptor, the order in which rows
// are ranked, and its hits, the best rows so far.
//
// A job is cut into strips: parts of a chunk of about 2 MiB, or parts of a small
// selection. The [Scheduler] has workers. A worker takes a lease, which is one strip for
// each job that still needs it. Concurrent requests thus share the reading of rows. The
// scheduler measures how fast strips are compared and estimates how long a new job would
// take. It refuses a job that would finish too late.
//
// A worker compares with a scanner. A kernel computes a bound for many rows at once. Only
// rows that may be among the best are compared exactly: by [matcher.Version.Distance],
// unless the kernel itself is exact.
//
// [Raw] compares descriptors that are part of a request, without the scheduler. A
// turnstile limits how many raw matches compare at the same time.
package scan
