-- persons: a person is all faces with one external_id.
--
-- GET /plugins/persons/persons/{id} returns the faces of a person, for keys with the role read.
-- DELETE deletes them, for keys with the role write.
local ns = require("nearside")

local M = {
  api = 1, name = "persons", version = "1.0.0",
  kinds = { "background" },
  permissions = { "store" },
}

-- query returns the faces of a person that the caller's key may see. (Keys that are bound to
-- lists are refused, because a delete would have to keep faces of other lists.)
local function query(req)
  local bound = req.bound or {}
  if bound.lists then return nil end
  return { filters = { external_ids = { req.params.id } }, account_id = bound.account_id or req.query.account_id }
end

local refused = { detail = "the key is bound to lists, which this route does not support" }

local function get(req)
  local q, faces = query(req), ns.json.array({})
  if not q then return 403, refused end
  q.fields, q.limit = { "create_time", "lists" }, 1000
  for face in ns.store.faces(q) do faces[#faces + 1] = face end
  if #faces == 0 then return 404, { detail = "there is no face of person " .. req.params.id } end
  return 200, { person = req.params.id, faces = faces }
end

local function delete(req)
  local q = query(req)
  if not q then return 403, refused end
  local count, err = ns.store.delete_faces(q)
  if not count then return 503, { detail = err } end
  ns.log.info("a person was deleted", { person = req.params.id, faces = count, key = req.key })
  return 200, { deleted = count }
end

function M:start()
  ns.route("GET", "/persons/{id}", get, { role = "read" })
  ns.route("DELETE", "/persons/{id}", delete, { role = "write" })
end

return M
