-- redis_ingest: faces from a Redis stream into a list.
--
-- An entry of the stream has a field "face": a face as in POST /1/faces, as
-- JSON. Entries are acknowledged when they are stored, so that none is lost;
-- one may come twice, and then replaces itself: give faces a face_id.
local ns = require("nearside")

local M = {
  api = 1, name = "redis_ingest", version = "1.0.0",
  kinds = { "background" },
  required = false, -- the service starts without its peer, and tries again
  permissions = { "redis:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    required = { "list_id" },
    properties = {
      url = { type = "string", default = "redis://127.0.0.1:6379" },
      stream = { type = "string", default = "faces" },
      group = { type = "string", default = "nearside" },
      list_id = { type = "string" }, -- is made when there is none
    },
  },
}

local conf

function M:initialize(settings)
  conf = settings
  local _, err = ns.store.new_list({ list_id = conf.list_id, user_data = "redis_ingest" })
  if err and not err:find("exists already", 1, true) then error(err) end
end

-- ingest stores the face of an entry; true: it is done with.
local function ingest(entry)
  local face, err = ns.json.decode(entry.fields.face or "")
  if type(face) ~= "table" then
    ns.log.warn("dropped: no face", { entry = entry.id, reason = err })
    return true -- it will never be better
  end
  face.lists = { conf.list_id }
  for attempt = 1, 5 do
    local id
    id, err = ns.store.put_face(face)
    if id then return true end
    if err:find("limits.memory", 1, true) == nil then break end
    ns.sleep(2 ^ attempt) -- full: somebody may make room
  end
  ns.log.warn("not stored", { entry = entry.id, reason = err })
  return false -- stays pending: XPENDING shows it
end

function M:start()
  local redis, err = ns.redis.connect(conf.url)
  if not redis then error(err) end
  assert(redis:xreadgroup({ group = conf.group, stream = conf.stream, count = 64 }, ingest))
end

return M
