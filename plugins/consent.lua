-- consent: restricts all matches of faces to persons who have agreed. A set in Redis has
-- their external ids. It is read again after some seconds, and a change is seen from then on.
--
-- With on_error = "fail", a request is refused (12050) if the plugin fails, and also while
-- the set has not been read for too long. It is never answered without the list.
local ns = require("nearside")

local M = {
  api = 1, name = "consent", version = "1.0.0",
  kinds = { "matching", "background" },
  matching = { origins = { "faces" }, on_error = "fail", order = 5 },
  permissions = { "redis:*" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "redis://127.0.0.1:6379" },
      key = { type = "string", default = "nearside:consent" },                -- a Redis set of external ids
      seconds = { type = "number", minimum = 0.1, default = 5 },              -- between two readings
      stale = { type = "number", minimum = 1, default = 60 },                 -- the oldest list that is used, in seconds
    },
  },
}

local conf
local list, version = {}, nil -- of this state

function M:initialize(settings) conf = settings end

-- read copies the set to ns.kv, which all states share. version is a hash of the ids.
local function read(client)
  local ids, err = client:call("SMEMBERS", conf.key)
  if not ids then return nil, err end
  table.sort(ids)
  local ok, fault = ns.kv.set("ids", ids, conf.stale)
  if not ok then return nil, fault end
  return ns.kv.set("version", ns.hash.sha256(ns.json.encode(ids)), conf.stale)
end

function M:start()
  local client = assert(ns.redis.connect(conf.url))
  ns.spawn(function()
    while true do
      local ok, err = read(client)
      if not ok then ns.log.warn("the list of consents cannot be read", { error = err }) end
      ns.sleep(conf.seconds)
    end
  end)
end

function M:prefilter(req, set)
  local current = ns.kv.get("version")
  if not current then error("the list of consents has not been read for " .. conf.stale .. " seconds") end
  if current ~= version then
    list = assert(ns.kv.get("ids"), "the list of consents has expired")
    version = current
  end
  return set:one_of("external_id", list)
end

return M
