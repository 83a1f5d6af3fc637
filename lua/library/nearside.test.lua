---@meta nearside.test
-- Generated from the host's modules by: go test ./lua/trial -run TestLibraryFile -update

---The plugin under test. A method returns when the plugin is idle, and raises the errors of the plugin's hooks.
---@class Plugin
local Plugin = {}

---The candidate sets of a match after the hook request, each as in req.sets. If the hook rejects the request, nil and the rejection. candidates is one candidate set of a request, or a list of them. kind is match_face (default), match_body or cross_match. references are tables {type, id}. This call waits.
---@param candidates? table|table[]
---@param options? {account_id: string?, key: string?, route: string?, kind: string?, forwarded: boolean?, references: table[]?}
---@return table[]?
---@return {status: integer, detail: string}? rejection
function Plugin:match_request(candidates, options) end

---Matches the descriptor probe against rows, calls the hook results, and returns the rows of the answer as a client gets them: {face = {...}, similarity, distance, extra}. The second result has order = "plugin" if the plugin has sorted the rows, and the count if candidates asks for it. candidates: see cost. This call waits.
---@param rows table[]
---@param probe? integer[]
---@param candidates? table
---@return table[]
---@return {order: string?, count: integer?}
function Plugin:results(rows, probe, candidates) end

---Calls handle_event with points. The default of event is the first name in the plugin's field events. This call waits.
---@param points table[]
---@param event? string
function Plugin:emit(points, event) end

---Calls one of the plugin's routes. path is the path of the request, below /plugins/<name>. If a value of query is a list, the key is repeated. account_id is added to the query. key is the name of the caller's key, bound what it is bound to, and role its role; without role, the caller may use all routes. pieces are the texts of req:write. With leave_after = n, the client leaves after n of them. This call waits.
---@param method string
---@param path string
---@param options? {query: table?, headers: table?, body: string?, json: any, account_id: string?, key: string?, bound: {account_id: string?, lists: string[]?}?, role: string?, leave_after: integer?}
---@return {status: integer, headers: table<string, string>, body: string, json: any, pieces: string[]?}
function Plugin:request(method, path, options) end

---The result of the hook cost for a candidate set, or nil if the plugin cannot match it. candidates has the fields of a candidate set in a request, and may have the account_id of the request. This call waits.
---@param candidates? table
---@param probe? integer[]
---@param rows? table[]
---@return number?
function Plugin:cost(candidates, probe, rows) end

---The rows that the hook prefilter keeps, in the order of rows. If the hook rejects the request, nil and the rejection. rows come from test.faces or test.events. candidates: see cost. This call waits.
---@param rows table[]
---@param candidates? table
---@return table[]?
---@return {status: integer, detail: string}? rejection
function Plugin:prefilter(rows, candidates) end

---The rows that the hook match returns for the descriptor probe, with distance and similarity, or nil if the hook declines. The host checks the rows. candidates: see cost. This call waits.
---@param rows table[]
---@param probe integer[]
---@param candidates? table
---@return table[]?
function Plugin:match(rows, probe, candidates) end

---Reloads the plugin, as SIGHUP does. This call waits.
function Plugin:reload() end

---Shuts the plugin down. This call waits.
function Plugin:close() end

---The status of the plugin. A test fails if the plugin has failed, unless the test calls status.
---@return {state: string, reason: string, tasks: integer, routes: string[], failures: integer, last_error: string, dropped: integer}
function Plugin:status() end

---A whole number of any size. tostring, .. and the comparisons == < <= > >= work; arithmetic raises an error.
---@class Int64
local Int64 = {}

---@class nearside.test
local test = {}

---Declares a test. Every test starts without a plugin and without requests, and with an empty Redis.
---@param name string
---@param fn function
function test.case(name, fn) end

---Starts the plugin with these settings. Returns when the plugin is idle. Raises an error if the plugin cannot start. This call waits.
---@param settings? table
---@return Plugin
function test.start(settings) end

---Fails the test unless got and want are equal. Tables are equal if their contents are equal.
---@param got any
---@param want any
---@param label? string
function test.equal(got, want, label) end

---Fails the test if value is nil or false.
---@param value any
---@param message? string
function test.ok(value, message) end

---Fails the test unless text contains part. part is not a pattern.
---@param text string
---@param part string
---@param label? string
function test.contains(text, part, label) end

---Fails the test unless fn raises an error that contains part. Returns the text of the error. This call waits.
---@param fn function
---@param part? string
---@return string
function test.fails(fn, part) end

---Returns rows as faces. It adds a face_id and a descriptor (a list of up to 16 integers from 0 to 255; missing ones are 0) to rows without them. The fields are those of POST /1/faces.
---@param rows table[]
---@return table[]
function test.faces(rows) end

---Returns rows as events. It adds an event_id to rows without one, and a face_descriptor to rows without a descriptor. A descriptor is a list of up to 16 integers from 0 to 255; missing ones are 0. The fields are those of POST /1/events.
---@param rows table[]
---@return table[]
function test.events(rows) end

---The value of a metric of ns.metrics, or nil if it has none. For a histogram, it is the number of observations. values are the values of the labels, sorted by the names of the labels.
---@param name string
---@param values? string[]
---@return number?
function test.metric(name, values) end

---Sets the values that ns.resource returns from now on.
---@param figures {cpu: number?, rss: integer?, queue: integer?, rows: integer?}
function test.resource(figures) end

---The RabbitMQ of the test. It has no queues at first.
---@class nearside.test.amqp
test.amqp = {}

---Sends a message as another client. Returns when the plugin is idle: true if a queue took the message. options sets message properties, with the names of the options of publish. With the default exchange (""), a queue that does not exist is created. This call waits.
---@param exchange string
---@param key string
---@param body string
---@param headers? table
---@param options? table
---@return boolean
function test.amqp.publish(exchange, key, body, headers, options) end

---The messages that the plugin has published.
---@return {exchange: string, key: string, body: string, headers: table}[]
function test.amqp.published() end

---The numbers of messages of a queue: ready wait in the queue, acked were acknowledged by handlers, dropped were rejected or have expired and were not dead-lettered. nil if the queue does not exist.
---@param name string
---@return {ready: integer, acked: integer, dropped: integer}?
function test.amqp.queue(name) end

---The number of messages of a queue that consumers have received and not acknowledged. Such a message is being handled, waits for its next attempt, or is stuck.
---@param name string
---@return integer
function test.amqp.unacked(name) end

---The messages that wait in a queue, in the form that a consumer receives.
---@param name string
---@return table[]
function test.amqp.messages(name) end

---Deletes a queue with its messages, or an exchange with its bindings, as another client. Returns when the plugin is idle. This call waits.
---@param kind "queue"|"exchange"
---@param name string
function test.amqp.delete(kind, name) end

---Stops the server: all connections are lost, and calls of the plugin fail with reason. A call without reason starts the server again. This call waits.
---@param reason? string
function test.amqp.down(reason) end

---Base64, in the standard alphabet with padding.
---@class nearside.test.base64
test.base64 = {}

---Encodes bytes as base64.
---@param bytes string
---@return string
function test.base64.encode(bytes) end

---Decodes base64. Returns nil and an error if text is not valid.
---@param text string
---@return string?
---@return string? err
function test.base64.decode(text) end

---The clock of the test. It stands still while any code of the plugin runs.
---@class nearside.test.clock
test.clock = {}

---Moves the clock forward. Timers fire and sleeping tasks wake in the order of their times. Returns when the plugin is idle. This call waits.
---@param seconds number
function test.clock.advance(seconds) end

---The Unix time in seconds. The plugin's ns.now() returns the same.
---@return number
function test.clock.now() end

---Hash functions. Digests are hexadecimal digits in lower case; hex.decode returns their bytes.
---@class nearside.test.hash
test.hash = {}

---Returns the CRC-32 (IEEE) of bytes as 8 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.crc32(bytes) end

---Returns the HMAC of bytes with key.
---@param algorithm "md5"|"sha1"|"sha256"|"sha512"
---@param key string
---@param bytes string
---@return string
function test.hash.hmac(algorithm, key, bytes) end

---Reports whether two texts are equal. The time does not depend on where they differ, so use it to compare a digest or a key with a secret one.
---@param a string
---@param b string
---@return boolean
function test.hash.equal(a, b) end

---Returns the md5 hash of bytes as 32 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.md5(bytes) end

---Returns the sha1 hash of bytes as 40 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.sha1(bytes) end

---Returns the sha256 hash of bytes as 64 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.sha256(bytes) end

---Returns the sha512 hash of bytes as 128 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.sha512(bytes) end

---Hexadecimal digits.
---@class nearside.test.hex
test.hex = {}

---Encodes bytes as hexadecimal digits in lower case.
---@param bytes string
---@return string
function test.hex.encode(bytes) end

---Decodes hexadecimal digits in lower or upper case. Returns nil and an error if text is not valid.
---@param text string
---@return string?
---@return string? err
function test.hex.decode(text) end

---The HTTP servers of the test. ns.http of the plugin connects to them.
---@class nearside.test.http
test.http = {}

---Calls fn for each request of the plugin. fn returns the response. If it returns nil and a text, the connection fails with this text. Without a handler, every request fails.
---@param fn fun(request: {method: string, url: string, path: string, host: string, query: table, headers: table<string, string>, body: string, json: any}): {status: integer?, body: string?, json: any, headers: table<string, string|string[]>?}?, string?
function test.http.handle(fn) end

---The requests of the plugin so far, in the form that http.handle receives.
---@return table[]
function test.http.requests() end

---Boxed integers: whole numbers beyond 2^53, which Lua numbers cannot hold exactly. tostring gives their digits. They can be compared with each other, and keep their value in JSON, in the store and in kv.
---@class nearside.test.int64
---Returns a boxed integer. value is a text of decimal digits, or a whole number.
---@overload fun(value: string|integer|Int64): Int64
test.int64 = {}

---Returns -1 if a is less than b, 0 if they are equal, and 1 if a is greater. a and b are boxed integers or numbers.
---@param a number|Int64
---@param b number|Int64
---@return integer
function test.int64.compare(a, b) end

---Encodes and decodes JSON.
---@class nearside.test.json
---@field null userdata The value null of JSON.
test.json = {}

---Encodes a value. An empty table becomes {}, unless json.array has marked it or it was decoded from an empty list.
---@param value any
---@return string
function test.json.encode(value) end

---Decodes a text. null becomes json.null. Integers beyond 2^53 become boxed integers (see int64).
---@param text string
---@return any
---@return string? err
function test.json.decode(text) end

---Marks a table, so that it is encoded as a list even if it is empty. Returns the table.
---@param t table
---@return table
function test.json.array(t) end

---Marks a table, so that it is encoded as an object even if it is empty. Returns the table.
---@param t table
---@return table
function test.json.object(t) end

---The log of the plugin.
---@class nearside.test.log
test.log = {}

---The lines that the plugin has logged so far.
---@return {level: string, message: string, fields: table}[]
function test.log.lines() end

---Regular expressions (RE2).
---@class nearside.test.re
test.re = {}

---Finds the first match and returns the matched text, followed by the texts of the groups. Returns nil if s does not match.
---@param s string
---@param pattern string
---@return string[]?
function test.re.match(s, pattern) end

---Returns the texts of all matches, at most limit. The default of limit is its maximum, 10000.
---@param s string
---@param pattern string
---@param limit? integer
---@return string[]
function test.re.find_all(s, pattern, limit) end

---Replaces all matches with a text, in which $1 and ${name} stand for groups, and returns the result.
---@param s string
---@param pattern string
---@param with string
---@return string
function test.re.replace(s, pattern, with) end

---The Redis of the test. It has strings, hashes, lists, sets, streams with groups and PUBLISH. script runs EVAL. Times to live and idle times follow the clock of the test. It is empty at first.
---@class nearside.test.redis
test.redis = {}

---Runs a command as another client, and returns when the plugin is idle. This call waits.
---@param command string
---@param ... string|number
---@return any
---@return string? err
function test.redis.call(command, ...) end

---The ids of the entries that the group has delivered and that are not acknowledged.
---@param stream string
---@param group string
---@return string[]
function test.redis.pending(stream, group) end

---Makes all commands of the plugin fail with reason. A call without reason ends this.
---@param reason? string
function test.redis.down(reason) end

---Calls fn for each EVAL. The reply is the result of fn, or the error that fn raises.
---@param fn fun(script: string, keys: string[], args: string[]): any
function test.redis.script(fn) end

---The store of the test. It is empty at first.
---@class nearside.test.store
test.store = {}

---The stored objects with their descriptors, sorted by id.
---@return table[]
function test.store.faces() end

---The stored objects with their descriptors, sorted by id.
---@return table[]
function test.store.events() end

---The stored objects with their descriptors, sorted by id.
---@return table[]
function test.store.attributes() end

---Stores an object as a client does. A descriptor is a list of up to 16 integers from 0 to 255, and may be missing. Raises an error if the object is refused. This call waits.
---@param face table
---@return string id
function test.store.put_face(face) end

---Stores an object as a client does. A descriptor is a list of up to 16 integers from 0 to 255, and may be missing. Raises an error if the object is refused. This call waits.
---@param event table
---@return string id
function test.store.put_event(event) end

---Stores an object as a client does. A descriptor is a list of up to 16 integers from 0 to 255, and may be missing. Raises an error if the object is refused. It expires after ttl seconds (default 300). This call waits.
---@param attribute table
---@param ttl? integer
---@return string id
function test.store.put_attribute(attribute, ttl) end

---Creates a list as a client does. Raises an error if it is refused. This call waits.
---@param list? {list_id: string?, account_id: string?, user_data: string?}
---@return string id
function test.store.put_list(list) end

---Deletes an object as a client does. Raises an error if it does not exist. This call waits.
---@param id string
function test.store.delete_face(id) end

---Deletes an object as a client does. Raises an error if it does not exist. This call waits.
---@param id string
function test.store.delete_event(id) end

---Deletes an object as a client does. Raises an error if it does not exist. This call waits.
---@param id string
function test.store.delete_attribute(id) end

---Deletes a list as a client does. Raises an error if it does not exist. This call waits.
---@param id string
function test.store.delete_list(id) end

---Deletes the attributes that have expired by the clock of the test. A server does this every second. This call waits.
function test.store.expire() end

---Makes all writes fail with reason. A call without reason ends this. Call it after test.start.
---@param reason? string
function test.store.down(reason) end

---Times as text. A time is a Unix time in seconds. A zone is UTC (the default), a name such as Europe/Berlin, or Local, the zone of the machine.
---@class nearside.test.time
test.time = {}

---Returns t as text. layout is rfc3339 (the default), rfc1123 (as in headers of HTTP), or a text with the directives %Y %y %m %d %e %j %H %I %M %S %p %L (milliseconds) %f (microseconds) %a %A %b %B %z (+0100) %Z (CET) %s (seconds since 1970) %F %T %%.
---@param t number
---@param layout? string
---@param zone? string
---@return string
function test.time.format(t, layout, zone) end

---Returns the time that text shows, or nil and an error. layout is as in format, without %j and %Z. zone is the zone of a text that names none. Parts that the layout lacks are those of 1970-01-01T00:00:00.
---@param text string
---@param layout? string
---@param zone? string
---@return number?
---@return string? err
function test.time.parse(text, layout, zone) end

return test
