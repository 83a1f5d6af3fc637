// Package matcher is the vocabulary of nearside, without I/O.
//
// An [Object] is what is stored: a face, an event or an attribute, each with
// an [ID] and one or two [Descriptor]s. A descriptor is of a [Version], which
// fixes its type, encoding, length, distance and similarity. A match request
// is a list of [Reference]s and a list of [Candidates] (an origin, a [Filter],
// a limit, a threshold); one reference against one candidate set is a
// [SubRequest], and a [Matcher] answers each with a [Result]: its nearest
// [Match]es in one total order, so that the answer never depends on who
// computed it, with how many threads or on which instruction set.
//
// What a lower package needs from a higher one is an interface here
// ([Matcher], [Prefilter], [Selection], [Observer]) that cmd wires.
package matcher
