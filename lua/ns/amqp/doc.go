// Package amqp is the RabbitMQ client (AMQP 0-9-1) of plugins. It does not know
// Lua.
//
// A [Client] publishes messages. It also creates the queues and exchanges of its
// [Declarations], and creates them again when they disappear. A [Consumer] passes each
// [Delivery] of a queue to a handler and applies the handler's verdict: it
// acknowledges the message, publishes it again for another attempt, or sends it to
// the dead letters. A consumer uses its server through a [Broker], which plugin tests
// replace with a double. The attempts are counted in headers of the message.
package amqp
