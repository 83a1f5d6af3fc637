// Package peer is the common part of the clients with which plugins use Redis, RabbitMQ
// and HTTP. It does not know Lua.
//
// An [Owner] is the interpreter of a plugin that uses a client. A [Client]
// ends when it is closed or when its owner ends. Client.Follow runs a reader,
// such as a subscription, and reconnects it after pauses ([Backoff]). A [Consumer]
// holds the counters and the state of one reader of messages, for the status of
// the plugin. A message handler returns a [Verdict], which decides what happens to
// the message. [RecordOutcome] records whether a server that the handler used caused
// its failure.
//
// Time comes from a [Clock]. A plugin test advances the time manually, and only
// while no goroutine runs. So code in this tree must wait in Clock.Sleep or in a
// [Flight], which tell the clock that a goroutine waits.
package peer
