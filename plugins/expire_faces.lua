-- expire_faces: deletes faces that are older than some days, at the times of a cron expression.
--
-- The age of a face counts from its create_time. With lists, only faces of these lists are
-- deleted, also from their other lists. If that fails, for example because the disk is full, it
-- is tried again every five minutes.
-- GET /plugins/expire_faces/preview shows how many faces would be deleted now.
local ns = require("nearside")

local M = {
  api = 1, name = "expire_faces", version = "1.0.0",
  kinds = { "background" },
  permissions = { "store" },
  schema = {
    type = "object", additionalProperties = false,
    required = { "days" },
    properties = {
      days = { type = "integer", minimum = 1, maximum = 36500 },
      lists = { type = "array", items = { type = "string" }, minItems = 1 }, -- ids; default: all faces
      account_id = { type = "string" },                                      -- default: all accounts
      cron = { type = "string", default = "0 3 * * *" },                     -- every night at three
      zone = { type = "string", default = "UTC" },
      dry_run = { type = "boolean", default = false },                       -- only logs how many there are
    },
  },
}

local conf, deleted
local failed = false -- the last attempt

function M:initialize(settings)
  conf = settings
  deleted = ns.metrics.counter("deleted", "Faces that were deleted because of their age.")
end

-- old returns the query of the faces that are too old now.
local function old()
  return {
    filters = { create_time__lt = ns.time.format(ns.now() - 86400 * conf.days), lists = conf.lists },
    account_id = conf.account_id,
  }
end

local function sweep()
  local query = old()
  local before = query.filters.create_time__lt
  if conf.dry_run then
    ns.log.info("faces would be deleted", { count = assert(ns.store.count(query)), before = before })
    return
  end
  local n, err = ns.store.delete_faces(query)
  failed = not n
  if failed then
    ns.log.warn("faces were not deleted; it is tried again in five minutes", { error = err })
    return
  end
  deleted:add(n)
  ns.log.info("faces were deleted", { count = n, before = before })
end

function M:start()
  assert(ns.cron(conf.cron, conf.zone, sweep))
  ns.every(300, function() if failed then sweep() end end)
  ns.route("GET", "/preview", function()
    local query = old()
    return 200, { count = assert(ns.store.count(query)), before = query.filters.create_time__lt }
  end, { role = "read" })
end

return M
