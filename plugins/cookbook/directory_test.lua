local test = require("nearside.test")

local rows = test.faces({
  { external_id = "anna", descriptor = { 1 } }, { external_id = "ben", descriptor = { 2 } },
  { external_id = "anna", descriptor = { 3 } }, { descriptor = { 4 } },
})

local function departments(plugin)
  local all = {}
  for i, row in ipairs(plugin:results(rows, { 0 })) do all[i] = row.extra and row.extra.department or "-" end
  return table.concat(all, " ")
end

test.case("asks once for all persons, and remembers the answer", function()
  test.http.handle(function() return { json = { anna = "sales" } } end)
  local plugin = test.start()
  test.equal(departments(plugin), "sales - sales -")
  test.equal(departments(plugin), "sales - sales -")
  test.equal({ #test.http.requests(), test.http.requests()[1].json }, { 1, { ids = { "anna", "ben" } } })
  test.clock.advance(301)
  departments(plugin)
  test.equal(#test.http.requests(), 2)
end)

test.case("answers without the directory, and asks again", function()
  local plugin = test.start()
  test.equal(departments(plugin), "- - - -")
  test.http.handle(function() return { status = 500 } end)
  test.equal(departments(plugin), "- - - -")
  test.http.handle(function() return { json = { ben = "IT" } } end)
  test.equal(departments(plugin), "- IT - -")
  test.contains(test.log.lines()[2].fields.error, "status 500")
end)
