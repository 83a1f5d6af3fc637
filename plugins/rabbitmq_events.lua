-- rabbitmq_events: events from a RabbitMQ queue into the store.
--
-- A message is an event as in POST /1/events, as JSON. It is acknowledged when
-- the event is stored; one that cannot be stored is put back once, then goes
-- to the queue's dead letters.
local ns = require("nearside")

local M = {
  api = 1, name = "rabbitmq_events", version = "1.0.0",
  kinds = { "background" },
  required = false, -- the service starts without its peer, and tries again
  permissions = { "amqp:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "amqp://guest:guest@127.0.0.1:5672" },
      exchange = { type = "string", default = "events" },
      queue = { type = "string", default = "nearside.events" },
      key = { type = "string", default = "#" }, -- of the binding: every event
    },
  },
}

local stored

local function take(message)
  local event, err = ns.json.decode(message.body)
  local id
  if event then
    event.event_id = event.event_id or message.headers.event_id -- the same message again is the same event
    id, err = ns.store.put_event(event)
  end
  stored:add(1, { outcome = id and "stored" or "refused" })
  if not id then ns.log.warn("not stored", { key = message.key, again = not message.redelivered, reason = err }) end
  return id ~= nil
end

function M:initialize()
  stored = ns.metrics.counter("messages", "Messages by outcome.", { "outcome" })
end

function M:start()
  local conf = ns.conf
  local mq = assert(ns.amqp.connect(conf.url))
  assert(mq:declare("exchange", conf.exchange, { type = "topic" }))
  assert(mq:declare("queue", conf.queue, { bind = { { exchange = conf.exchange, key = conf.key } } }))
  assert(mq:consume(conf.queue, take, { prefetch = 32 }))
end

return M
