// Package luatest has helpers for the tests of lua and lua/trial: plugin logs,
// folders with plugins, a manual clock, and real Redis and RabbitMQ servers. Only
// tests import it.
package luatest
