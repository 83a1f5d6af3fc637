-- quota: rejects matches of a key beyond a number per minute, with status 429, and matches
-- that name more references than allowed, with status 413.
local ns = require("nearside")

local M = {
  api = 1, name = "quota", version = "1.0.0",
  kinds = { "matching" },
  matching = { on_error = "fail" },
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      matches = { type = "integer", minimum = 1, default = 600 }, -- of one key in a minute
      references = { type = "integer", minimum = 1, default = 10 },
    },
  },
}

local conf

function M:initialize(settings) conf = settings end

function M:request(req)
  if req.forwarded then return end -- the server that got the request has counted it
  if #req.references > conf.references then
    return ns.reject(413, ("at most %d references are allowed, got %d"):format(conf.references, #req.references))
  end
  local counter = "matches of " .. (req.key or "nobody")
  ns.kv.add(counter, 0, 60) -- begins a minute, unless one has begun
  if ns.kv.incr(counter) > conf.matches then
    return ns.reject(429, ("at most %d matches in a minute are allowed"):format(conf.matches))
  end
end

return M
