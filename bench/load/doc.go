// Package load asks a running server for matches, as many clients do, and
// measures how many it answers and how long each answer takes.
//
// A Target is a server with the request that is sent to it: a few bodies, made
// before the measurement. A Plan says how: closed loop, where each client sends
// its next request when the answer is there, or open loop, where requests are
// due at a fixed rate, whether or not earlier ones were answered. Latency in
// the open loop counts from the moment a request was due, so that a server
// that stalls does not hide the requests that should have been sent meanwhile
// (coordinated omission). A Result has rates, errors and Latencies.
package load
