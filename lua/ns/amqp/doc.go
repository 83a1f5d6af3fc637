// Package amqp is the RabbitMQ client (AMQP 0-9-1) of plugins. It does not know
// Lua.
//
// A [Client] publishes messages. It also makes the queues and exchanges of its
// [Declarations], and makes them again when they disappear. A [Consumer] passes each
// [Delivery] of a queue to a handler and applies the handler's verdict: it
// acknowledges the message, publishes it again for another attempt, or sends it to
// the dead letters. It uses its server through a [Broker], which plugin tests
// replace. The attempts are counted in headers of the message.
package amqp
