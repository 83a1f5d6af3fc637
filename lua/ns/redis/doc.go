// Package redis is the Redis client of plugins. It does not know Lua.
//
// An [Address] names one server, Sentinels or the nodes of a cluster. A
// [Client] sends commands over a few links; each link is used by one call at a
// time. A [Group] reads a stream as a consumer of a group. It passes each [Entry]
// to a handler. The handler's verdict acknowledges the entry, retries it, or sends
// it to the dead letters. [Holds] lists the entries that the readers of this
// process hold, so that no reader takes over the entries of another.
package redis
