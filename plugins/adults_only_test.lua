local test = require("nearside.test")

local rows = test.faces({ { age = 17 }, { age = 18 }, { age = 90 }, { user_data = "unknown age" } })

test.case("keeps only adults", function()
  local left = test.start():prefilter(rows)
  test.equal({ #left, left[1].age, left[2].age }, { 2, 18, 90 })
end)

test.case("narrows a set that the request already filters", function()
  local left = test.start({ age = 15 }):prefilter(rows, { filters = { age__lt = 18 } })
  test.equal({ #left, left[1].age }, { 1, 17 })
end)

test.case("refuses an age of 0, which would let everyone pass", function()
  test.fails(function() test.start({ age = 0 }) end, "plugins.settings.adults_only: age")
end)
