local test = require("nearside.test")

local function event(source)
  return test.json.encode({ source = source, face_descriptor = { version = 1, data = test.base64.encode(("x"):rep(16)) } })
end

test.case("stores events", function()
  test.start()
  test.amqp.publish("events", "camera.1", event("cam-1"), { event_id = "00000000-0000-4000-8000-000000000001" })
  local events = test.store.events()
  test.equal({ #events, events[1].source, events[1].event_id }, { 1, "cam-1", "00000000-0000-4000-8000-000000000001" })
  test.equal(test.amqp.queue("nearside.events"), { ready = 0, acked = 1, dropped = 0 })
end)

test.case("puts back once what it cannot store", function()
  test.start({ queue = "q" })
  test.amqp.publish("events", "k", "no JSON")
  test.amqp.publish("events", "k", '{"source": "no descriptor"}')
  test.equal(test.amqp.queue("q"), { ready = 0, acked = 0, dropped = 2 })
  test.equal(test.metric("messages", { "refused" }), 4)
  test.contains(test.log.lines()[4].fields.reason, "face_descriptor")
end)

test.case("takes only what its key says", function()
  test.start({ key = "camera.*" })
  test.amqp.publish("events", "door.1", event("x"))
  test.equal(#test.store.events(), 0)
end)

test.case("does not start without RabbitMQ", function()
  test.amqp.down("connection refused")
  test.fails(function() test.start() end, "connection refused")
end)
