package ns

import "nearside/lua/ns/peer"

// A Clock is the clock of plugins. Plugin tests advance it manually.
type Clock = peer.Clock
