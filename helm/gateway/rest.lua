-- What people expect of REST and Envoy has no setting for. Nothing is passed on that would be ignored: an unknown field of
-- the body or the query, a body where there should be none. And nothing in the query wins over the path or the body.

local json = require("json")
local operations = require("operations") -- made of the annotations
local stream = require("stream")

local MAX_BAD = 20
-- google.rpc.Status with RESOURCE_EXHAUSTED, ErrorInfo (OVERLOADED) and RetryInfo (1 s); a test reads it
local TOO_MANY_CALLS = "CAgSFHRvbyBtYW55IGNhbGxzOiB3YWl0Gk8KKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5FcnJvckluZm8SIwoKT1ZF" ..
  "UkxPQURFRBIVaW52aXRhdGlvbnMuaXBtaHViLmlvGjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8S" ..
  "BAoCCAE"

-- The answer of the service to a bad request: google.rpc.Status with its details. `field` is letters, digits and _./-[]?.
local function status_json(code, reason, message, violations)
  local details = {
    '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"' .. reason .. '","domain":"invitations.ipmhub.io"}',
  }
  local fields = {}
  for _, bad in ipairs(violations or {}) do
    fields[#fields + 1] = '{"field":"' .. bad.field .. '","description":"' .. bad.rule .. '","reason":"' .. bad.reason .. '"}'
  end
  if #fields > 0 then
    details[2] = '{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[' .. table.concat(fields, ",") .. "]}"
  end
  return '{"code":' .. code .. ',"message":"' .. message .. '","details":[' .. table.concat(details, ",") .. "]}"
end

local function refuse(handle, http, code, reason, message, violations, headers)
  local answer = headers or {}
  answer[":status"] = tostring(http)
  answer["content-type"] = "application/json"
  handle:respond(answer, status_json(code, reason, message, violations))
end

local function refuse_field(handle, http, field, reason, rule)
  local bad = { field = field, reason = reason, rule = rule }
  refuse(handle, http, 3, "FIELD_INVALID", field .. " " .. rule, { bad })
end

-- The operation of a request, or the methods that its path has: "" where there is none.
local function operation(method, path)
  local allowed = {}
  for _, candidate in ipairs(operations) do
    if path:find(candidate.path) then
      if candidate.method == method then
        return candidate
      end
      allowed[#allowed + 1] = candidate.method
    end
  end
  return nil, table.concat(allowed, ", ")
end

local function check_body(handle, text, wanted)
  if not wanted then
    return refuse_field(handle, 400, "body", "FIELD_NOT_ALLOWED", "must be empty: this method has none")
  end
  local bad, broken = json.bad_fields(text, wanted)
  if not bad then
    return refuse_field(handle, 400, "body", "FIELD_MALFORMED", broken)
  elseif #bad == 0 then
    return
  end
  local shown = {}
  for number = 1, math.min(#bad, MAX_BAD) do
    shown[number] = bad[number]
    if shown[number].field == "requestId" then
      shown[number].rule = shown[number].rule .. ": send the header Idempotency-Key"
    elseif shown[number].field == "etag" then
      shown[number].rule = shown[number].rule .. ": send the header If-Match"
    end
  end
  refuse(handle, 400, 3, "FIELD_INVALID", shown[1].field .. " " .. shown[1].rule, shown)
end

-- Refuses a query with a parameter that the method does not have, or has once and is given twice.
local function check_query(handle, query, wanted)
  local seen, bad = {}, {}
  for part in query:gmatch("[^&]+") do
    local name = part:match("^([%w_.]+)=")
    local key = name and name:gsub("_(%l)", string.upper)
    if not name then
      -- Envoy decodes a name before it looks it up, and ignores one without a value
      bad[#bad + 1] = { field = "query", reason = "FIELD_MALFORMED", rule = "must be name=value, with names in plain letters" }
    elseif not wanted[key] then
      bad[#bad + 1] = { field = name:sub(1, 64), reason = "FIELD_NOT_ALLOWED", rule = "is no query parameter of this method" }
    elseif seen[key] and wanted[key] ~= "repeated" then
      bad[#bad + 1] = { field = name, reason = "FIELD_CONFLICT", rule = "must come once in the query" }
    end
    if key then
      seen[key] = true
    end
    if #bad == MAX_BAD then
      break
    end
  end
  if #bad > 0 then
    refuse(handle, 400, 3, "FIELD_INVALID", bad[1].field .. " " .. bad[1].rule, bad)
    return true
  end
end

local function is_json(content_type)
  local charset = content_type:match('charset *= *"?([^"; ]*)')
  return content_type:match("^([^; ]*) *;?") == "application/json" and (not charset or charset == "utf-8")
end

-- gRPC-Web that Envoy knows has become gRPC here, and of gRPC the service knows which kinds there are.
local function is_grpc(content_type)
  local kind = content_type:match("^[^; ]*")
  return kind == "application/grpc" or kind:find("^application/grpc%+")
end

local function check_rest(handle, method, path, content_type, encoding)
  local found, allowed = operation(method, path:match("^[^?]*"))
  if not found and allowed == "" then
    return refuse(handle, 404, 5, "METHOD_UNKNOWN", "there is nothing under this path: see the API's description")
  elseif not found then
    local message = "this path has another method: " .. allowed
    return refuse(handle, 405, 12, "METHOD_UNKNOWN", message, nil, { allow = allowed })
  elseif content_type and not is_json(content_type) then
    return refuse_field(handle, 415, "content-type", "FIELD_NOT_ALLOWED", "must be application/json, in UTF-8")
  elseif encoding and encoding:lower() ~= "identity" then
    return refuse_field(handle, 415, "content-encoding", "FIELD_NOT_ALLOWED", "must be identity: bodies are not compressed")
  end
  if found.stream and not stream.is_wanted(handle:headers():get("accept")) then
    return refuse_field(handle, 406, "accept", "FIELD_NOT_ALLOWED", "must allow text/event-stream: this is a stream")
  end
  local query = path:match("%?(.*)$")
  if query and check_query(handle, query, found.query) then
    return
  end
  local body = handle:body()
  if body and body:length() > 0 then
    return check_body(handle, body:getBytes(0, body:length()), found.body)
  end
  if found.stream then
    stream.resume(handle:headers())
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, method = headers:get(":path"), headers:get(":method")
  local content_type = headers:get("content-type")
  content_type = content_type and content_type:lower()
  if path:find("^/v1") then
    check_rest(handle, method, path, content_type, headers:get("content-encoding"))
  elseif path:find("^/[%w.]+/%w+$") and not is_grpc(content_type or "") then
    refuse_field(handle, 415, "content-type", "FIELD_NOT_ALLOWED", "must be application/grpc or application/grpc-web here")
  end
end

-- Gives gRPC and gRPC-Web what REST has in the body. Envoy's own 429 has no details, and in gRPC-Web would be UNAVAILABLE,
-- which clients repeat at once.
local function word_too_many_calls(handle)
  local status, kind = handle:headers():get(":status"), handle:headers():get("content-type")
  if handle:headers():get("grpc-message") ~= "local_rate_limited" then
    local body = status == "429" and kind ~= "application/json" and handle:body()
    if not body or body:getBytes(0, body:length()) ~= "local_rate_limited" then
      return
    end
    body:setBytes("")
  end
  local headers = handle:headers() -- those from before the body was there are gone
  headers:replace(":status", "200")
  headers:replace("content-type", "application/grpc")
  headers:replace("grpc-status", "8")
  headers:replace("grpc-message", "too many calls: wait")
  headers:replace("grpc-status-details-bin", TOO_MANY_CALLS)
end

-- What the transcoder refuses, without its types and the caller's value: "bad request: " and its words come from envoy.yaml.
local function word_transcoder(text)
  local said = text:match('"message":"bad request: (.*)')
  if not said then
    return nil
  end
  local field, rule = said:match("^([%w_.%[%]]+): "), "has a value that its type does not have"
  if not field then
    field, rule = "request", "is not well formed, or says in the body otherwise than in the path"
  end
  local bad = { field = field, reason = "FIELD_MALFORMED", rule = rule }
  return status_json(3, "FIELD_INVALID", field .. " " .. rule, { bad })
end

function envoy_on_response(handle)
  word_too_many_calls(handle)
  if handle:headers():get("content-type") == "text/event-stream" then
    return stream.number(handle)
  elseif handle:headers():get("content-type") ~= "application/json" then
    return
  end
  handle:headers():remove("grpc-status")
  handle:headers():remove("grpc-message")
  local status = handle:headers():get(":status")
  if tonumber(status) < 400 then
    return
  end
  -- a quotation mark without a backslash is never part of a text in it
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local worded = status == "400" and word_transcoder(text)
  if worded then
    body:setBytes(worded)
  end
  local seconds, rest = text:match('"retryDelay":"(%d+)([.%d]*)s"')
  if seconds then
    handle:headers():replace("retry-after", tostring(tonumber(seconds) + (rest == "" and 0 or 1)))
  end
  if status == "401" then
    local why = text:find('"reason":"TOKEN_INVALID"', 1, true) and ' error="invalid_token"' or ""
    handle:headers():replace("www-authenticate", "Bearer" .. why)
  end
end
