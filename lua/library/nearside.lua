---@meta nearside
-- Generated from the host's modules by: go test ./lua/trial -run TestLibraryFile -update

---Values that wait to be flushed together.
---@class Batch
local Batch = {}

---Adds a value. If max values wait already, the oldest is dropped and counted.
---@param value any
function Batch:add(value) end

---Waits for a flush in progress, then flushes all waiting values. If a flush fails, returns nil and the reason, and its values wait for the next flush. Otherwise returns true. This call waits.
---@return boolean?
---@return string? err
function Batch:flush() end

---Returns how many values were dropped.
---@return integer
function Batch:dropped() end

---The decision to reject a request. Return it from prefilter or request.
---@class Rejection
---@field status integer The HTTP status.
---@field detail string The detail in the answer.
local Rejection = {}

---The argument req of the hook request: a match or a cross match, before its references are resolved.
---@class MatchCall
---@field kind string match_face, match_body or cross_match.
---@field descriptor_type string The type of the descriptors: face or body.
---@field version integer? The version that all references must have (descriptor_version); nil: any.
---@field origin string The kind of the objects of the first candidate set: faces, events or attributes.
---@field sets table[] A new list of the candidate sets, each {origin, filters, limit, threshold, order, targets, group, offset, count, exclude_self}, with the changes so far. To change the request, call the methods.
---@field references table[] The references as the client gave them, each {type, id}; none in a cross match.
---@field reference_set table? {origin, filters} of the references of a cross match, else nil.
---@field account_id string? If set, only objects of this account are visible.
---@field key string? The name of the caller's key; nil: there is none.
---@field route string The route, as in metrics: POST:/matcher/faces.
---@field request_id string The id of the HTTP request.
---@field forwarded boolean Whether another nearside server sent the request.
---@field deadline_ms number? Milliseconds until the deadline of the request; nil: no deadline.
local MatchCall = {}

---Sets the minimum similarity, 0 to 1. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param x number
---@param set? integer
function MatchCall:set_threshold(x, set) end

---Sets the maximum number of rows in the answer, or of groups if it is grouped: 1 to limits.result. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param n integer
---@param set? integer
function MatchCall:set_limit(n, set) end

---Sets the fields of the rows in the answer; nil: all. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param targets string[]?
---@param set? integer
function MatchCall:set_targets(targets, set) end

---Sets the order: similarity, create_time_asc or create_time_desc. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param order string
---@param set? integer
function MatchCall:set_order(order, set) end

---Sets whether the answer leaves out the object of the reference. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param exclude boolean
---@param set? integer
function MatchCall:set_exclude_self(exclude, set) end

---Groups the answer by a field, with at most size (1 to 10, default 1) rows of each group; nil: it is not grouped. set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.
---@param group {by: string, size: integer?}?
---@param set? integer
function MatchCall:set_group(group, set) end

---The argument rows of the hook results: the rows of an answer, in its order. Each method that changes the list returns it.
---@class Rows
local Rows = {}

---Returns the number of rows.
---@return integer
function Rows:len() end

---Returns row i, from 1, or nil if there is no such row.
---@param i integer
---@return Row?
function Rows:at(i) end

---Keeps the first n rows of each value of a field, or of an added field: extra.name. The rows of a value follow its first row. A row without the field is kept.
---@param field string
---@param n integer
---@return Rows
function Rows:group_by(field, n) end

---Removes fields from the answer. Scripts can still read them. The id of the object cannot be hidden.
---@param ... string
---@return Rows
function Rows:hide(...) end

---Removes all other fields from the answer, except for the id of the object and added fields. It does not show fields that the request does not ask for.
---@param ... string
---@return Rows
function Rows:only(...) end

---Adds a field to each row, which the answer shows in extra. If value is a function, it is called with each row, and its result is the value; nil: the row does not get the field. A value must be one that JSON has.
---@param name string
---@param value any
---@return Rows
function Rows:add(name, value) end

---Sorts the rows: before(a, b) returns true if row a comes before row b. Rows of which neither comes before the other keep their order. The answer says that it has the order of a plugin.
---@param before function
---@return Rows
function Rows:sort(before) end

---Keeps the rows for which the comparison of the similarity with x is true. op is one of = != < <= > >=.
---@param op string
---@param x number
---@return Rows
function Rows:where_similarity(op, x) end

---Removes the rows for which test(row) returns true.
---@param test function
---@return Rows
function Rows:drop(test) end

---Keeps the first n rows.
---@param n integer
---@return Rows
function Rows:limit(n) end

---A row of an answer. It has the fields of the object, also those that the answer does not show; nil: the object does not have the field.
---@class Row
---@field id string The id of the object.
---@field similarity number The similarity, 0 to 1.
---@field distance number The distance.
---@field group string? The value by which the answer is grouped.
---@field extra table A new table of the fields that plugins have added.
---@field face_id any The field face_id of the object, as in answers.
---@field account_id any The field account_id of the object, as in answers.
---@field external_id any The field external_id of the object, as in answers.
---@field user_data any The field user_data of the object, as in answers.
---@field event_id any The field event_id of the object, as in answers.
---@field create_time any The field create_time of the object, as in answers.
---@field avatar any The field avatar of the object, as in answers.
---@field lists any The field lists of the object, as in answers.
---@field age any The field age of the object, as in answers.
---@field gender any The field gender of the object, as in answers.
---@field ethnic_group any The field ethnic_group of the object, as in answers.
---@field end_time any The field end_time of the object, as in answers.
---@field source any The field source of the object, as in answers.
---@field handler_id any The field handler_id of the object, as in answers.
---@field stream_id any The field stream_id of the object, as in answers.
---@field track_id any The field track_id of the object, as in answers.
---@field tags any The field tags of the object, as in answers.
---@field emotion any The field emotion of the object, as in answers.
---@field mask any The field mask of the object, as in answers.
---@field location any The field location of the object, as in answers.
---@field top_match any The field top_match of the object, as in answers.
---@field meta any The field meta of the object, as in answers.
---@field source_group any The field source_group of the object, as in answers.
---@field apparent_age any The field apparent_age of the object, as in answers.
---@field apparent_gender any The field apparent_gender of the object, as in answers.
---@field headwear_state any The field headwear_state of the object, as in answers.
---@field sleeve_length any The field sleeve_length of the object, as in answers.
---@field upper_clothing_color any The field upper_clothing_color of the object, as in answers.
---@field backpack_state any The field backpack_state of the object, as in answers.
---@field lower_garment_type any The field lower_garment_type of the object, as in answers.
---@field lower_garment_color any The field lower_garment_color of the object, as in answers.
---@field shoes_apparent_color any The field shoes_apparent_color of the object, as in answers.
---@field headwear_apparent_color any The field headwear_apparent_color of the object, as in answers.
---@field attribute_id any The field attribute_id of the object, as in answers.
local Row = {}

---A prepared list of ids.
---@class IdSet
local IdSet = {}

---Returns the number of ids.
---@return integer
function IdSet:len() end

---Reports whether an id is in the set.
---@param id string
---@return boolean
function IdSet:has(id) end

---The argument req of the hooks of a matching plugin: a candidate set, and the result that the request asks for.
---@class Request
---@field origin string The kind of the objects: faces, events or attributes.
---@field filters table The filters of the candidate set, with their names in requests.
---@field limit integer The maximum number of rows in the answer.
---@field threshold number The minimum similarity.
---@field order string The order of the rows: similarity, create_time_asc or create_time_desc.
---@field group table? {by, size}: the field by which the answer is grouped, and the maximum number of rows of a group; nil: it is not grouped.
---@field offset integer The number of rows, or of groups, that the answer skips.
---@field count boolean Whether the answer has the number of all rows, or groups, that pass.
---@field exclude_self boolean Whether the answer leaves out the object of the reference.
---@field targets string[]? The fields of the rows in the answer; nil: all.
---@field descriptor_type string The type of the descriptors: face or body.
---@field version integer The version of the descriptors that are compared.
---@field account_id string? If set, only objects of this account are visible.
---@field key string? The name of the caller's key; nil: there is none.
---@field route string The route, as in metrics: POST:/matcher/faces.
---@field request_id string The id of the HTTP request.
---@field deadline_ms number? Milliseconds until the deadline of the request; nil: no deadline.
---@field reference table? In match and results, {type, id, version} of the reference; else nil.
local Request = {}

---Returns the bytes of the reference's descriptor. Only in match and results. It is empty for references of type together, and in results for references of a remote.
---@return string
function Request:descriptor() end

---An immutable selection of rows. Each operation returns a new set.
---@class Set
local Set = {}

---Returns the number of rows.
---@return integer
function Set:len() end

---Keeps the rows for which the comparison of the column with value is true. op is one of = != < <= > >=.
---@param column string
---@param op string
---@param value any
---@return Set
function Set:where(column, op, value) end

---Keeps the rows whose column is at least a and at most b.
---@param column string
---@param a any
---@param b any
---@return Set
function Set:between(column, a, b) end

---Keeps the rows whose column equals one of values.
---@param column string
---@param values any[]|IdSet
---@return Set
function Set:one_of(column, values) end

---Keeps the rows of the objects with these ids.
---@param ids string[]|IdSet
---@return Set
function Set:ids(ids) end

---Removes the rows of the objects with these ids.
---@param ids string[]|IdSet
---@return Set
function Set:exclude(ids) end

---Keeps the faces that are in at least one of these lists.
---@param ids string[]|IdSet
---@return Set
function Set:in_lists(ids) end

---Keeps the n rows with the largest values of a column of numbers or times.
---@param column string
---@param n integer
---@return Set
function Set:top(column, n) end

---Keeps n random rows. The same seed selects the same rows.
---@param n integer
---@param seed integer
---@return Set
function Set:sample(n, seed) end

---Returns the rows that are in at least one of the two sets.
---@param other Set
---@return Set
function Set:union(other) end

---Returns the rows that are in both sets.
---@param other Set
---@return Set
function Set:intersect(other) end

---Returns the rows that are not in the other set.
---@param other Set
---@return Set
function Set:minus(other) end

---Keeps the rows for which test returns true. test receives the values of the named columns. This is slow, because it calls Lua for each row; use the other methods where possible.
---@param test function
---@param ... string
---@return Set
function Set:filter(test, ...) end

---Compares the rows with the reference and returns at most limit matches as {id, distance, similarity}, in the order of the request. Only in match. This call waits.
---@param limit integer
---@return table[]
function Set:scan(limit) end

---Returns the fields of at most limit rows as tables, in no particular order.
---@param limit integer
---@return table[]
function Set:to_table(limit) end

---A lock that one task of the plugin holds at a time. The one that waits longest is next. It is released when its state ends.
---@class Lock
local Lock = {}

---Waits for the lock and returns true, or nil and "timeout" after seconds. Without seconds, it waits as long as the call may. A task that holds the lock must not acquire it again. This call waits.
---@param seconds? number
---@return boolean?
---@return string? err
function Lock:acquire(seconds) end

---Releases the lock.
function Lock:release() end

---Waits for the lock, calls fn(...) and releases the lock, also if fn raises an error. Returns copies of the results of fn. This call waits.
---@param fn function
---@param ... any
---@return any ...
function Lock:with(fn, ...) end

---A signal between tasks of one state.
---@class Signal
local Signal = {}

---Waits until notify is called, and returns its value. Returns nil and "timeout" after seconds. If nobody waited at the last notify, its value is returned at once, to one call. This call waits.
---@param seconds number
---@return any
---@return string? err
function Signal:wait(seconds) end

---Wakes all calls of wait, which return value (true if it is nil), and returns their number. If nobody waits, the value is kept for the next wait; a later one replaces it.
---@param value? any
---@return integer
function Signal:notify(value) end

---A running task.
---@class Task
local Task = {}

---Ends the task. If the task is waiting in a call, the call returns at once.
function Task:cancel() end

---A RabbitMQ client.
---@class AmqpClient
local AmqpClient = {}

---Sends a message, persistent by default. Waits until the server has confirmed it, unless confirm is false. With mandatory = true it fails if no queue receives the message; writing confirm = true explicitly also sets mandatory, unless mandatory is false. expiration is in milliseconds, timestamp in Unix seconds. After an error, the message may have been sent nevertheless. This call waits.
---@param exchange string
---@param key string
---@param body string
---@param options? {confirm: boolean?, mandatory: boolean?, headers: table<string, string|number|boolean>?, persistent: boolean?, expiration: (integer|string)?, content_type: string?, content_encoding: string?, message_id: string?, correlation_id: string?, reply_to: string?, timestamp: number?, priority: integer?, type: string?, app_id: string?}
---@return boolean?
---@return string? err
function AmqpClient:publish(exchange, key, body, options) end

---Calls fn for each message of a queue, one after the other. If fn returns "ack" or true, the message is acknowledged. If it returns "retry", false or nil, or raises an error, the message is delivered again after 1 to 60 seconds; {retry = seconds} sets the time. After the last of attempts (default 10) attempts, or if fn returns "dead", the message goes to the dead-letter target. The option dead sets the target: the name of a queue, an exchange and a key, or true for the x-dead-letter-exchange of a queue that this client has not declared. The default is the x-dead-letter-exchange with which this client has declared the queue. Without a target, the message stays in the queue. A second result of fn is the reason. If the store is full or not available (12052, 12050), the consumer pauses and no attempt is used. This call waits.
---@param queue string
---@param fn fun(message: {body: string, headers: table<string, any>, exchange: string, key: string, redelivered: boolean, attempt: integer, persistent: boolean, expiration: string?, content_type: string?, content_encoding: string?, message_id: string?, correlation_id: string?, reply_to: string?, timestamp: number?, priority: integer?, type: string?, app_id: string?}): ("ack"|"retry"|"dead"|boolean|{retry: number})?, string?
---@param options? {prefetch: integer?, attempts: integer?, dead: (string|boolean|{exchange: string, key: string?})?}
---@return Task?
---@return string? err
function AmqpClient:consume(queue, fn, options) end

---Creates a queue with its bindings, or an exchange (type: direct, fanout, headers or topic). It is durable unless durable is false. The client creates it again after a reconnect and when it disappears. If the server cannot be reached, declare returns true and the client creates it later. This call waits.
---@param kind "queue"|"exchange"
---@param name string
---@param options? {type: string?, durable: boolean?, auto_delete: boolean?, exclusive: boolean?, arguments: table<string, any>?, bind: {exchange: string, key: string?, arguments: table<string, any>?}[]?}
---@return boolean?
---@return string? err
function AmqpClient:declare(kind, name, options) end

---Ends the client and its consumers. This call waits.
function AmqpClient:close() end

---A whole number of any size. tostring, .. and the comparisons == < <= > >= work; arithmetic raises an error.
---@class Int64
local Int64 = {}

---A metric whose value only increases.
---@class Counter
local Counter = {}

---Adds n (default 1), which must not be negative. Returns nil and an error if there are too many sets of label values.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Counter:add(n, labels) end

---A metric whose value increases and decreases.
---@class Gauge
local Gauge = {}

---Sets the value. Returns nil and an error if there are too many sets of label values.
---@param v number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Gauge:set(v, labels) end

---Adds n (default 1), which may be negative. Returns nil and an error if there are too many sets of label values.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Gauge:add(n, labels) end

---A metric that counts values by size.
---@class Histogram
local Histogram = {}

---Counts a value. Returns nil and an error if there are too many sets of label values.
---@param v number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Histogram:observe(v, labels) end

---A lease of a Redis key.
---@class Lease
local Lease = {}

---Reports whether this client holds the key now.
---@return boolean
function Lease:held() end

---Ends the lease.
function Lease:cancel() end

---A Redis client. A null reply is nil, but json.null within a list. An error within a list is {err = text}.
---@class RedisClient
local RedisClient = {}

---Competes with other clients for a key, of which one at a time is the holder, and returns at once. When this client becomes the holder, won runs as a task. When it no longer is, that task is cancelled and lost is called. The key expires ttl seconds (1 to 86400) after the last renewal; it is renewed three times in that time. A holder that cannot renew it gives up before it expires. When the lease or the plugin ends, the key is deleted after lost has returned, so that another client follows at once.
---@param key string
---@param ttl number
---@param options {won: fun(), lost: fun(reason: string)?}
---@return Lease?
---@return string? err
function RedisClient:lease(key, ttl, options) end

---Runs a command and returns its reply. This call waits.
---@param command string
---@param ... string|number
---@return any
---@return string? err
function RedisClient:call(command, ...) end

---Sends up to 1000 commands at once and returns their replies. This call waits.
---@param commands (string|number)[][]
---@return any[]?
---@return string? err
function RedisClient:pipeline(commands) end

---Calls fn for each message of a channel, one after the other, until the task is cancelled. Messages that are published while the client has no connection are lost. /1/plugins shows how long it was disconnected (down_seconds). This call waits.
---@param channel string
---@param fn fun(message: string, channel: string)
---@return Task?
---@return string? err
function RedisClient:subscribe(channel, fn) end

---Reads a stream as a consumer of a group. Calls fn for each entry, or, with batch = n, for lists of up to n entries. If fn returns "ack" or true, the entry is acknowledged. If it returns "retry", false or nil, or raises an error, fn is called again after 1 to 60 seconds; {retry = seconds} sets the time. After the last of attempts (default 10) attempts, or if fn returns "dead", the entry goes to the stream dead; without the option dead, it stays pending. For a list, fn returns one verdict for all entries or a list of verdicts. A second result of fn is the reason. If the store is full or not available, the reader pauses and no attempt is used. Pending entries of other consumers are taken over if they have been idle for claim_ms (default 30000; 0: never). The stream and the group are created if necessary; the group starts at the first entry. An entry may be delivered twice. This call waits.
---@param options {group: string, stream: string, consumer: string?, batch: integer?, block_ms: integer?, claim_ms: integer?, attempts: integer?, dead: string?, count: integer?}
---@param fn fun(entry: {id: string, stream: string, fields: table<string, string>, attempt: integer}|table[]): boolean|"ack"|"retry"|"dead"|{retry: number}|table[]|nil, string?
---@return Task?
---@return string? err
function RedisClient:xreadgroup(options, fn) end

---Ends the client and its readers. This call waits.
function RedisClient:close() end

---@class nearside
---@field conf table The plugin's settings, with defaults filled in. Each access returns a new copy.
---@field name string The plugin's name.
---@field version string The plugin's version.
local ns = {}

---Collects values and calls flush with up to size (default 100) of them, at the latest after seconds (default 1). If flush raises an error, or returns false, or nil and a reason, it is called again with the same values after 1 s, 2 s, ... 60 s. Meanwhile up to max (default 10 times size) values wait. A reload and a shutdown flush the waiting values.
---@param options {size: integer?, seconds: number?, max: integer?, flush: fun(items: any[]): boolean?, string?}
---@return Batch
function ns.batch(options) end

---Calls fn at the times of a cron expression (minute, hour, day, month, day of the week; or @hourly, @daily, @weekly, @monthly, @yearly), by the clocks of zone (default UTC). Times that pass while fn runs are left out. A time that clocks skip in spring is the moment after the skipped hour; a time that they show twice counts once.
---@param expression string
---@param zone string?
---@param fn function
---@return Task?
---@return string? err
function ns.cron(expression, zone, fn) end

---Matches as a request to the server does, with all its matchers and the hooks of other plugins, but without the hooks of this plugin. A reference, and the fields of the candidate set, are written as in the HTTP API. descriptor_type is face (default) or body. With reference, returns {reference, result, count?, plan?}; with references, a list of them. The rows of result are those of the HTTP API. Hooks in the path of a request (cost, prefilter, match, request, results) cannot call it. This call waits.
---@param query {reference: table?, references: table[]?, filters: table, limit: integer?, threshold: number?, targets: string[]?, order: string?, group: table?, offset: integer?, count: boolean?, exclude_self: boolean?, descriptor_type: string?, version: integer?, account_id: string?, explain: boolean?, timeout_ms: number?}
---@return table? answer
---@return string? err
function ns.match(query) end

---Copies to m the hooks and fields of base that m lacks, and returns m. Use it to inherit from base, because the host does not read metatables of a plugin's table.
---@param base table
---@param m table
---@return table m
function ns.extend(base, m) end

---Returns a random UUID (version 4).
---@return string
function ns.uuid() end

---Returns a rejection. If prefilter or request returns it, or raises it with error(), the request is answered with this status (400 to 499), error code 12057 and the detail.
---@param status integer
---@param detail string
---@return Rejection
function ns.reject(status, detail) end

---Returns the resource usage and the load of the process: cpu (seconds of processor time since the start), rss and heap (bytes), goroutines, uptime (seconds), queue (sub-requests that wait for a worker), workers (for matching) and rows (stored objects).
---@return {cpu: number, rss: integer, heap: integer, goroutines: integer, uptime: number, queue: integer, workers: integer, rows: integer}
function ns.resource() end

---Serves requests for /plugins/<name><path> with fn. A segment {name} of path matches one segment of a request. fn receives {method, path, params, query, query_all, headers, body, key, bound} and returns the status, the body (a table is encoded as JSON) and the headers. req:write(text, {status, headers}?) sends a piece of the answer at once and waits for the client; it returns true, or nil and an error when the client has left or the plugin ends. role is what a key needs to use the route: match, read, write or admin (the default).
---@param method string
---@param path string
---@param fn fun(req: table): (integer?, any, table?)
---@param options? {role: string?}
function ns.route(method, path, fn, options) end

---Prepares a list of ids for ids, exclude, in_lists and one_of of sets, so that they do not parse it at each call. Duplicates count once.
---@param ids string[]
---@return IdSet
function ns.idset(ids) end

---Returns the lock of this name. All states of the plugin share it, also during a reload. It is not held yet.
---@param name string
---@return Lock
function ns.lock(name) end

---Returns a new signal, with which a task wakes other tasks of the same state.
---@return Signal
function ns.signal() end

---Runs fn(...) as a task, which starts when the caller waits or ends.
---@param fn function
---@param ... any
---@return Task?
---@return string? err
function ns.spawn(fn, ...) end

---Calls fn repeatedly, with a pause of seconds before each call.
---@param seconds number
---@param fn function
---@return Task?
---@return string? err
function ns.every(seconds, fn) end

---Runs fn() as a task when the server listens, or after a reload, when the new plugins have taken over.
---@param fn function
function ns.ready(fn) end

---Sleeps for seconds. With 0, other calls and tasks of the plugin run. This call waits.
---@param seconds number
function ns.sleep(seconds) end

---Returns the Unix time in seconds.
---@return number
function ns.now() end

---Returns the seconds since the start of the host. The value never decreases.
---@return number
function ns.monotonic() end

---RabbitMQ (AMQP 0-9-1).
---@class nearside.amqp
ns.amqp = {}

---Creates a client for amqp://[user:password@]host[:port][/vhost], or amqps:// for TLS. The client connects in the background and reconnects when the connection is lost. connect succeeds even if the server is down.
---@param url string
---@param options? {timeout_ms: number?}
---@return AmqpClient?
---@return string? err
function ns.amqp.connect(url, options) end

---Base64, in the standard alphabet with padding.
---@class nearside.base64
ns.base64 = {}

---Encodes bytes as base64.
---@param bytes string
---@return string
function ns.base64.encode(bytes) end

---Decodes base64. Returns nil and an error if text is not valid.
---@param text string
---@return string?
---@return string? err
function ns.base64.decode(text) end

---Hash functions. Digests are hexadecimal digits in lower case; hex.decode returns their bytes.
---@class nearside.hash
ns.hash = {}

---Returns the CRC-32 (IEEE) of bytes as 8 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.crc32(bytes) end

---Returns the HMAC of bytes with key.
---@param algorithm "md5"|"sha1"|"sha256"|"sha512"
---@param key string
---@param bytes string
---@return string
function ns.hash.hmac(algorithm, key, bytes) end

---Reports whether two texts are equal. The time does not depend on where they differ, so use it to compare a digest or a key with a secret one.
---@param a string
---@param b string
---@return boolean
function ns.hash.equal(a, b) end

---Returns the md5 hash of bytes as 32 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.md5(bytes) end

---Returns the sha1 hash of bytes as 40 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.sha1(bytes) end

---Returns the sha256 hash of bytes as 64 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.sha256(bytes) end

---Returns the sha512 hash of bytes as 128 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.sha512(bytes) end

---Hexadecimal digits.
---@class nearside.hex
ns.hex = {}

---Encodes bytes as hexadecimal digits in lower case.
---@param bytes string
---@return string
function ns.hex.encode(bytes) end

---Decodes hexadecimal digits in lower or upper case. Returns nil and an error if text is not valid.
---@param text string
---@return string?
---@return string? err
function ns.hex.decode(text) end

---HTTP and HTTPS requests. The names of response headers are in lower case.
---@class nearside.http
ns.http = {}

---Makes a request. A response with any status is a result, not an error. json is encoded and sent as the body. Redirects are followed if the plugin is permitted to contact their target. With retries = n, the request is sent up to n more times, after growing pauses, when the connection fails or the status is 429, 502, 503 or 504; the server may then get it more than once. ca_file, cert_file and key_file are PEM files for https: the trusted authorities, and the certificate and key of the client. With stream, fn receives the body in pieces of up to 64 KiB, without a limit of its size; if it returns false, the rest is not read. body is then empty, and timeout_ms limits the wait for each piece. This call waits.
---@param method string
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any, retries: integer?, ca_file: string?, cert_file: string?, key_file: string?, stream: (fun(piece: string): boolean?)?}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.request(method, url, options) end

---Makes a GET request; see request. This call waits.
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any, retries: integer?, ca_file: string?, cert_file: string?, key_file: string?, stream: (fun(piece: string): boolean?)?}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.get(url, options) end

---Makes a POST request; see request. This call waits.
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any, retries: integer?, ca_file: string?, cert_file: string?, key_file: string?, stream: (fun(piece: string): boolean?)?}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.post(url, options) end

---Boxed integers: whole numbers beyond 2^53, which Lua numbers cannot hold exactly. tostring gives their digits. They can be compared with each other, and keep their value in JSON, in the store and in kv.
---@class nearside.int64
---Returns a boxed integer. value is a text of decimal digits, or a whole number.
---@overload fun(value: string|integer|Int64): Int64
ns.int64 = {}

---Returns -1 if a is less than b, 0 if they are equal, and 1 if a is greater. a and b are boxed integers or numbers.
---@param a number|Int64
---@param b number|Int64
---@return integer
function ns.int64.compare(a, b) end

---Encodes and decodes JSON.
---@class nearside.json
---@field null userdata The value null of JSON.
ns.json = {}

---Encodes a value. An empty table becomes {}, unless json.array has marked it or it was decoded from an empty list.
---@param value any
---@return string
function ns.json.encode(value) end

---Decodes a text. null becomes json.null. Integers beyond 2^53 become boxed integers (see int64).
---@param text string
---@return any
---@return string? err
function ns.json.decode(text) end

---Marks a table, so that it is encoded as a list even if it is empty. Returns the table.
---@param t table
---@return table
function ns.json.array(t) end

---Marks a table, so that it is encoded as an object even if it is empty. Returns the table.
---@param t table
---@return table
function ns.json.object(t) end

---A key-value store that all states of the plugin share. It survives reloads. With kv = {persist = true} in the plugin's table, it survives restarts, too.
---@class nearside.kv
ns.kv = {}

---Returns a copy of the value of a key, or nil if the key does not exist.
---@param key string
---@return any
function ns.kv.get(key) end

---Stores a value, for ttl_seconds if given. nil removes the key.
---@param key string
---@param value any
---@param ttl_seconds? number
---@return boolean?
---@return string? err
function ns.kv.set(key, value, ttl_seconds) end

---Stores a value if the key does not exist. Returns whether it was stored.
---@param key string
---@param value any
---@param ttl_seconds? number
---@return boolean?
---@return string? err
function ns.kv.add(key, value, ttl_seconds) end

---Adds n (default 1) to the number of a key, or to 0 if the key does not exist, and returns the sum. The key keeps its time to live.
---@param key string
---@param n? number
---@return number?
---@return string? err
function ns.kv.incr(key, n) end

---Compare and set: stores new if the current value equals old, and returns whether it did. If old is nil, the key must not exist. If new is nil, the key is removed. old must not be a table.
---@param key string
---@param old any
---@param new any
---@return boolean?
---@return string? err
function ns.kv.cas(key, old, new) end

---Removes a key and returns whether it existed.
---@param key string
---@return boolean
function ns.kv.delete(key) end

---Waits until all changes before the call are on disk. Needs kv = {persist = true}. Without this call, changes are written after about 0.1 s. This call waits.
---@return boolean?
---@return string? err
function ns.kv.flush() end

---Returns the keys that begin with prefix, sorted, at most limit. The default of limit is its maximum, 10000.
---@param prefix? string
---@param limit? integer
---@return string[]
function ns.kv.keys(prefix, limit) end

---Writes messages to the host's log.
---@class nearside.log
ns.log = {}

---Logs a message at level debug, with fields.
---@param message string
---@param fields? table<string, any>
function ns.log.debug(message, fields) end

---Logs a message at level info, with fields.
---@param message string
---@param fields? table<string, any>
function ns.log.info(message, fields) end

---Logs a message at level warn, with fields.
---@param message string
---@param fields? table<string, any>
function ns.log.warn(message, fields) end

---Logs a message at level error, with fields.
---@param message string
---@param fields? table<string, any>
function ns.log.error(message, fields) end

---Metrics of the plugin. /metrics shows them as nearside_plugin_<name>, with the label plugin. A reload keeps the values of metrics that are declared again in the same way. The name of a counter ends with _total, which is added if it is missing.
---@class nearside.metrics
ns.metrics = {}

---Declares a counter and returns it. labels are the names of the labels whose values each add must give.
---@param name string
---@param help string
---@param labels? string[]
---@return Counter
function ns.metrics.counter(name, help, labels) end

---Declares a gauge and returns it. labels are the names of the labels whose values each set and add must give.
---@param name string
---@param help string
---@param labels? string[]
---@return Gauge
function ns.metrics.gauge(name, help, labels) end

---Declares a histogram and returns it. labels are the names of the labels whose values each observe must give. buckets are ascending upper bounds; without them, they suit durations in seconds.
---@param name string
---@param help string
---@param labels? string[]
---@param buckets? number[]
---@return Histogram
function ns.metrics.histogram(name, help, labels, buckets) end

---Regular expressions (RE2).
---@class nearside.re
ns.re = {}

---Finds the first match and returns the matched text, followed by the texts of the groups. Returns nil if s does not match.
---@param s string
---@param pattern string
---@return string[]?
function ns.re.match(s, pattern) end

---Returns the texts of all matches, at most limit. The default of limit is its maximum, 10000.
---@param s string
---@param pattern string
---@param limit? integer
---@return string[]
function ns.re.find_all(s, pattern, limit) end

---Replaces all matches with a text, in which $1 and ${name} stand for groups, and returns the result.
---@param s string
---@param pattern string
---@param with string
---@return string
function ns.re.replace(s, pattern, with) end

---Redis.
---@class nearside.redis
ns.redis = {}

---Creates a client for redis://[user:password@]host[:port][/db], or rediss:// for TLS. The client connects on first use and reconnects by itself. If the server is down, calls fail, but connect succeeds. With ?master_name=name the hosts are Sentinels; with ?cluster=true they are nodes of a cluster. &addr=host:port adds a host. This call waits.
---@param url string
---@param options? {timeout_ms: number?}
---@return RedisClient?
---@return string? err
function ns.redis.connect(url, options) end

---Reads and writes stored objects. They are tables with the fields of the HTTP API's JSON; the data of descriptors is base64. Positions in error texts count from 0, as in the HTTP API. Needs the permission "store".
---@class nearside.store
ns.store = {}

---Stores an object and returns its id. It replaces the object with the same id, if any. If the id or create_time is missing, it is generated. This call waits.
---@param face table
---@return string? id
---@return string? err
function ns.store.put_face(face) end

---Stores up to 1000 objects at once, all or none, and returns their ids. This call waits.
---@param faces table[]
---@return string[]? ids
---@return string? err
function ns.store.put_faces(faces) end

---Returns an object with its descriptors. Fails if it does not exist.
---@param id string
---@return table?
---@return string? err
function ns.store.get_face(id) end

---Deletes an object. Fails if it does not exist. This call waits.
---@param id string
---@return boolean?
---@return string? err
function ns.store.delete_face(id) end

---Stores an object and returns its id. It replaces the object with the same id, if any. If the id or create_time is missing, it is generated. This call waits.
---@param event table
---@return string? id
---@return string? err
function ns.store.put_event(event) end

---Stores up to 1000 objects at once, all or none, and returns their ids. This call waits.
---@param events table[]
---@return string[]? ids
---@return string? err
function ns.store.put_events(events) end

---Returns an object with its descriptors. Fails if it does not exist.
---@param id string
---@return table?
---@return string? err
function ns.store.get_event(id) end

---Deletes an object. Fails if it does not exist. This call waits.
---@param id string
---@return boolean?
---@return string? err
function ns.store.delete_event(id) end

---Returns an iterator over the faces that pass filters, in the order of ids. fields names the fields of the objects, and descriptor; without it, an object has all fields and descriptors. The iterator waits while it reads each page of up to 1000 objects. It returns no object twice. It may miss objects that are stored during the iteration.
---@param query? {filters: table?, fields: string[]?, limit: integer?, account_id: string?}
---@return fun(): table?
function ns.store.faces(query) end

---Returns an iterator over the events that pass filters, in the order of ids. fields names the fields of the objects, and face_descriptor and body_descriptor; without it, an object has all fields and descriptors. The iterator waits while it reads each page of up to 1000 objects. It returns no object twice. It may miss objects that are stored during the iteration.
---@param query? {filters: table?, fields: string[]?, limit: integer?, account_id: string?}
---@return fun(): table?
function ns.store.events(query) end

---Returns an iterator over the attributes that pass filters, in the order of ids. fields names the fields of the objects, and descriptor; without it, an object has all fields and descriptors. The iterator waits while it reads each page of up to 1000 objects. It returns no object twice. It may miss objects that are stored during the iteration.
---@param query? {filters: table?, fields: string[]?, limit: integer?, account_id: string?}
---@return fun(): table?
function ns.store.attributes(query) end

---Returns an iterator over the lists, in the order of ids; see faces. The fields are list_id, account_id, user_data, create_time and face_count.
---@param query? {fields: string[]?, limit: integer?, account_id: string?}
---@return fun(): table?
function ns.store.lists(query) end

---Returns the number of objects that pass filters. filters.origin is faces (default), events or attributes. This call waits.
---@param query? {filters: table?, account_id: string?}
---@return integer?
---@return string? err
function ns.store.count(query) end

---Deletes the faces that pass filters, and returns their number. There must be a filter besides account_id. More than 10,000 faces are deleted in several steps. This call waits.
---@param query {filters: table, account_id: string?}
---@return integer? deleted
---@return string? err
function ns.store.delete_faces(query) end

---Changes fields of a face, as PATCH of the HTTP API does. json.null clears a field; other fields stay. This call waits.
---@param id string
---@param fields table
---@return boolean?
---@return string? err
function ns.store.update_face(id, fields) end

---Adds faces to a list, all or none. This call waits.
---@param list_id string
---@param face_ids string[]
---@return boolean?
---@return string? err
function ns.store.attach(list_id, face_ids) end

---Removes faces from a list, all or none. This call waits.
---@param list_id string
---@param face_ids string[]
---@return boolean?
---@return string? err
function ns.store.detach(list_id, face_ids) end

---Creates a list and returns its id. Fails if a list with this id exists. This call waits.
---@param list? {list_id: string?, account_id: string?, user_data: string?}
---@return string? id
---@return string? err
function ns.store.new_list(list) end

---Times as text. A time is a Unix time in seconds. A zone is UTC (the default), a name such as Europe/Berlin, or Local, the zone of the machine.
---@class nearside.time
ns.time = {}

---Returns t as text. layout is rfc3339 (the default), rfc1123 (as in headers of HTTP), or a text with the directives %Y %y %m %d %e %j %H %I %M %S %p %L (milliseconds) %f (microseconds) %a %A %b %B %z (+0100) %Z (CET) %s (seconds since 1970) %F %T %%.
---@param t number
---@param layout? string
---@param zone? string
---@return string
function ns.time.format(t, layout, zone) end

---Returns the time that text shows, or nil and an error. layout is as in format, without %j and %Z. zone is the zone of a text that names none. Parts that the layout lacks are those of 1970-01-01T00:00:00.
---@param text string
---@param layout? string
---@param zone? string
---@return number?
---@return string? err
function ns.time.parse(text, layout, zone) end

return ns
