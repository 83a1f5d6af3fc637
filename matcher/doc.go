// Package matcher defines the types that all packages of nearside share. It
// does no I/O.
//
// A stored [Object] is a face, an event or an attribute. It has an [ID] and one
// or two [Descriptor]s. Each descriptor has a [Version], which fixes its type,
// encoding, length, distance and similarity.
//
// A match request is a list of [Reference]s and a list of [Candidates] (an
// origin, a [Filter], a limit, a threshold). One reference against one candidate
// set is a [SubRequest]. A [Matcher] answers each sub-request with a [Result]:
// the nearest [Match]es in one total order. So the answer does not depend on the
// matcher, on the number of threads or on the instruction set.
//
// If a lower package needs a higher one, it uses an interface that is declared
// here ([Matcher], [Prefilter], [Selection], [Observer]). cmd/nearside connects
// the implementations.
package matcher
