-- thin_list: answers requests that filter only by one list, at a low cost.
--
-- Each matcher is asked for its cost, and the cheapest one answers. The local matcher
-- costs 100 by default, and more for more than 100,000 rows. This plugin offers 10 for
-- requests that filter only by one list. For others it offers no cost, so it is not
-- chosen. Here it just scans the rows of the list, as the local matcher would. Replace
-- the scan with your own method.
local ns = require("nearside")

local M = {
  api = 1, name = "thin_list", version = "1.0.0",
  kinds = { "matching" },
  matching = { origins = { "faces" }, descriptors = { "face" }, orders = { "similarity" } },
  schema = {
    type = "object", additionalProperties = false,
    properties = { rows = { type = "integer", minimum = 1, default = 100000 } }, -- the maximum for which it answers
  },
}

-- cost is called once per candidate set, so keep it short. nil means that the plugin
-- cannot answer.
function M:cost(req)
  for name in pairs(req.filters) do
    if name ~= "list_id" and name ~= "account_id" then return nil end
  end
  if req.filters.list_id then return 10 end
end

-- match returns the answer for one reference. nil declines it, which is not a failure:
-- the next cheapest matcher answers.
function M:match(req, set)
  if #set > ns.conf.rows then return nil end
  return set:scan(req.limit) -- {{id, distance, similarity}, ...}; the host checks and completes the rows
end

return M
