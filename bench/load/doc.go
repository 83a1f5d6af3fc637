// Package load sends match requests to a running server, from many clients at the same
// time. It measures the rate of answers and the latency of each answer.
//
// A Target is a server with the requests for it: a few bodies that are built before the
// measurement. A Plan determines how they are sent. In a closed loop, each client sends
// its next request after the answer. In an open loop, requests are due at a fixed rate,
// whether or not earlier requests were answered. In the open loop, latency counts from
// the moment when a request was due. So a server that stalls cannot hide the requests
// that should have been sent meanwhile (coordinated omission). A Result has rates,
// errors and Latencies.
package load
