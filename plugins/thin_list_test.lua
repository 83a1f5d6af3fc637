local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local rows = test.faces({
  { lists = { list }, descriptor = { 5 } }, { lists = { list }, descriptor = { 1 } }, { descriptor = { 0 } },
})

test.case("has a cost only for requests that filter by a list", function()
  local plugin = test.start()
  test.equal(plugin:cost({ filters = { list_id = list } }), 10)
  test.equal(plugin:cost(), nil)
  test.equal(plugin:cost({ filters = { list_id = list, age__gte = 18 } }), nil)
  test.fails(function() plugin:cost({ filters = { list_id = list }, order = "create_time_asc" }) end, "not for the order")
end)

test.case("scans the list", function()
  local plugin = test.start()
  local found = plugin:match(rows, { 2 }, { filters = { list_id = list } })
  test.equal({ #found, found[1].face_id, found[1].distance, found[2].distance }, { 2, rows[2].face_id, 1, 9 })
  test.equal(#plugin:match(rows, { 2 }, { filters = { list_id = list }, limit = 1 }), 1)
end)

test.case("declines a list with too many rows", function()
  test.equal(test.start({ rows = 1 }):match(rows, { 2 }, { filters = { list_id = list } }), nil)
end)
