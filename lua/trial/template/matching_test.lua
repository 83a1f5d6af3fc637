-- Run with: nearside plugin test NAME
local test = require("nearside.test")

local rows = test.faces({ { age = 17 }, { age = 18 }, { age = 40 }, {} })

test.case("keeps only adults", function()
  local plugin = test.start()
  local left = plugin:prefilter(rows)
  test.equal({ #left, left[1].age, left[2].age }, { 2, 18, 40 })
end)

test.case("uses the age of the settings", function()
  local plugin = test.start({ age = 40 })
  test.equal(#plugin:prefilter(rows, { filters = { age__lt = 100 }, limit = 3 }), 1)
end)
