local test = require("nearside.test")

local rows = test.faces({
  { external_id = "anna", user_data = "a1", descriptor = { 1 } }, { external_id = "berta", descriptor = { 2 } },
  { external_id = "anna", user_data = "a2", descriptor = { 3 } }, { descriptor = { 4 } },
})

test.case("shows the best picture of each person", function()
  local found, info = test.start():results(rows, { 0 }, { count = true })
  test.equal(#found, 3)
  test.equal({ found[1].face.external_id, found[1].face.user_data, found[1].extra.pictures }, { "anna", "a1", 2 })
  test.equal({ found[2].face.external_id, found[2].extra.pictures }, { "berta", 1 })
  test.equal({ found[3].face.external_id, found[3].extra }, {}) -- not known whose picture it is
  test.equal({ info.count, info.order }, { 4 })
end)

test.case("hides fields", function()
  local found = test.start({ hide = { "user_data", "distance" } }):results(rows)
  test.equal({ found[1].face.user_data, found[1].distance }, {})
  test.ok(found[1].similarity > 0.9)
end)

test.case("raises the threshold of faces", function()
  local sets = test.start({ threshold = 0.7 }):match_request({
    { threshold = 0.1 }, { threshold = 0.9 }, { filters = { origin = "events" }, threshold = 0.1 },
  })
  test.equal({ sets[1].threshold, sets[2].threshold, sets[3].threshold }, { 0.7, 0.9, 0.1 })
end)
