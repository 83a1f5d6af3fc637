-- rabbitmq_events: stores events from a RabbitMQ queue.
--
-- A message is an event as in POST /1/events, in JSON. It is acknowledged when the
-- event is on disk. While the store is full or not available, the plugin pauses. An
-- event that is refused is tried again, and then goes to a queue of dead letters. A
-- message that is not JSON goes there at once. No message is dropped.
local ns = require("nearside")

local M = {
  api = 1, name = "rabbitmq_events", version = "1.1.0",
  kinds = { "background" },
  required = false, -- the service starts even if RabbitMQ is down, and tries again
  permissions = { "amqp:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "amqp://guest:guest@127.0.0.1:5672" },
      exchange = { type = "string", default = "events" },
      queue = { type = "string", default = "nearside.events" },
      key = { type = "string", default = "#" }, -- of the binding; "#": every event
      dead = { type = "string" }, -- the queue of dead letters; default: the queue's name with ".dead"
      attempts = { type = "integer", minimum = 1, maximum = 1000, default = 5 },
    },
  },
}

local stored

-- id_of derives the id of an event from the message. So a message that arrives twice
-- stores one event, if the sender sets the header event_id or the message id.
local function id_of(message)
  local id = message.headers.event_id
  if id or not message.message_id then return id end
  local h = ns.hash.sha256(message.message_id)
  return table.concat({ h:sub(1, 8), h:sub(9, 12), "8" .. h:sub(14, 16), "8" .. h:sub(18, 20), h:sub(21, 32) }, "-")
end

local function store_event(message)
  local event, err = ns.json.decode(message.body)
  if type(event) ~= "table" then
    stored:add(1, { outcome = "malformed" })
    return "dead", "the message is not an event: " .. (err or "it is not a JSON object")
  end
  event.event_id = event.event_id or id_of(message)
  local id
  id, err = ns.store.put_event(event)
  stored:add(1, { outcome = id and "stored" or "refused" })
  if id then return "ack" end
  return "retry", err
end

function M:initialize()
  stored = ns.metrics.counter("messages", "Messages by outcome.", { "outcome" })
end

function M:start()
  local conf = ns.conf
  local dead = conf.dead or (conf.queue .. ".dead")
  local mq = assert(ns.amqp.connect(conf.url)) -- connects as soon as RabbitMQ is reachable
  assert(mq:declare("queue", dead))
  assert(mq:declare("exchange", conf.exchange, { type = "topic" }))
  assert(mq:declare("queue", conf.queue, { bind = { { exchange = conf.exchange, key = conf.key } } }))
  assert(mq:consume(conf.queue, store_event, { prefetch = 32, attempts = conf.attempts, dead = dead }))
end

return M
