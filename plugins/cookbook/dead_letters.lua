-- dead_letters: passes the entries of a Redis stream to an HTTP service. Entries that the
-- service refuses, and those that fail five times, go to a stream of dead letters.
-- POST /plugins/dead_letters/redrive puts up to 100 dead letters back.
local ns = require("nearside")

local M = {
  api = 1, name = "dead_letters", version = "1.0.0",
  kinds = { "background" },
  permissions = { "redis:127.0.0.1:6379", "http:jobs.example.com" },
}

local function work(entry)
  local answer, err = ns.http.post("https://jobs.example.com/jobs", { json = entry.fields })
  if not answer then return "retry", err end
  if answer.status < 300 then return "ack" end
  if answer.status == 429 then return { retry = tonumber(answer.headers["retry-after"]) or 30 } end
  if answer.status < 500 then return "dead", "status " .. answer.status end -- no retry would help
  return "retry", "status " .. answer.status
end

-- redrive adds a dead letter to its stream again, and deletes it. If the plugin stops between
-- the two, the entry is there twice, but never lost.
local function redrive(redis)
  local letters = assert(redis:call("XRANGE", "jobs.dead", "-", "+", "COUNT", 100))
  for _, letter in ipairs(letters) do
    local fields, args = letter[2], {}
    for i = 1, #fields, 2 do
      if fields[i] == "job" then args[#args + 1], args[#args + 2] = fields[i], fields[i + 1] end -- not the reason and such
    end
    if #args > 0 then assert(redis:call("XADD", "jobs", "*", unpack(args))) end
    assert(redis:call("XDEL", "jobs.dead", letter[1]))
  end
  return #letters
end

function M:start()
  local redis = assert(ns.redis.connect("redis://127.0.0.1:6379"))
  assert(redis:xreadgroup({ group = "nearside", stream = "jobs", dead = "jobs.dead", attempts = 5 }, work))
  ns.route("POST", "/redrive", function() return 200, { count = redrive(redis) } end, { role = "admin" })
end

return M
