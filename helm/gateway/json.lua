-- What has to be known of a JSON text that Envoy reads or has written.

local MAX_DEPTH = 16

local M = {}

-- Where the string that begins before `at` ends, or nil.
local function string_end(text, at)
  while true do
    local stop = text:find('["\\%z\1-\31]', at)
    local found = stop and text:sub(stop, stop)
    if found == '"' then
      return stop
    elseif found ~= "\\" then
      return nil
    elseif not text:find('^["\\/bfnrt]', stop + 1) and not text:find("^u%x%x%x%x", stop + 1) then
      return nil
    end
    at = stop + 2
  end
end

-- A key with what some programs write as an escape and need not: `/`, and letters of ASCII.
local function plain(key)
  key = key:gsub("\\/", "/")
  return (key:gsub("\\u00([2-7]%x)", function(code)
    return string.char(tonumber(code, 16))
  end))
end

-- The bad fields of a JSON text by what its message has, or nil and the rule that the text breaks. Envoy's own parser takes
-- more than JSON, and what it does not know it ignores; so it does with a null or a list in a list. And it crashes on an
-- empty value in a map.
function M.bad_fields(text, message)
  local bad = {}
  local rule = "must be a JSON object in which no field comes twice"
  local value

  local function refuse(field, reason, broken)
    bad[#bad + 1] = { field = field, reason = reason, rule = broken }
  end

  local function skip(at)
    return text:find("[^ \t\r\n]", at) or #text + 1
  end

  -- each returns where to go on, or nil where it is no JSON
  local function list(at, close, depth, element)
    at = skip(at)
    if text:sub(at, at) == close then
      return at + 1
    end
    if depth >= MAX_DEPTH then
      rule = "must not have objects and lists so deep in each other"
      return nil
    end
    local number = 0
    while true do
      at = element(at, number)
      at = at and skip(at)
      local found = at and text:sub(at, at)
      if found == close then
        return at + 1
      elseif found ~= "," then
        return nil
      end
      at = skip(at + 1)
      number = number + 1
    end
  end

  local function members(at, fields, path, depth)
    local seen = {}
    return list(at, "}", depth, function(start)
      local stop = text:sub(start, start) == '"' and string_end(text, start + 1)
      if not stop then
        return nil
      end
      local key = text:sub(start + 1, stop - 1)
      key = fields == "map" and plain(key) or key:gsub("_(%l)", string.upper)
      local colon = skip(stop + 1)
      if text:sub(colon, colon) ~= ":" or seen[key] then
        return nil
      end
      seen[key] = true
      local known = type(fields) == "table" and fields[key]
      local name = key:match(fields == "map" and "^[%w_./-]+$" or "^[%w_]+$") and key:sub(1, 64) or "?"
      name = path == "" and name or path .. "." .. name
      local at = skip(colon + 1)
      if fields == "map" then
        if text:sub(at, at) ~= '"' then
          refuse(name, "FIELD_MALFORMED", "must have text as its value")
        elseif text:sub(at + 1, at + 1) == '"' then
          refuse(name, "FIELD_MISSING", "must have a value of one character or more")
        end
      elseif not known then
        refuse(name, "FIELD_NOT_ALLOWED", "is no field of this body")
      end
      return value(at, known, name, depth + 1)
    end)
  end

  function value(at, fields, path, depth)
    local first = text:sub(at, at)
    if first == "{" then
      return members(at + 1, fields, path, depth)
    elseif first == "[" then
      return list(at + 1, "]", depth, function(start, number)
        if text:find("^null", start) then
          rule = "must not have null in a list"
          return nil
        end
        local stop = value(start, fields, path .. "[" .. number .. "]", depth + 1)
        if stop and text:find("^%[", start) then
          rule = "must not have a list in a list"
          return nil
        end
        return stop
      end)
    elseif first == '"' then
      local stop = string_end(text, at + 1)
      return stop and stop + 1
    end
    local _, stop = text:find("^[%w.+-]+", at)
    return stop and stop + 1
  end

  local start = skip(1)
  local stop = text:sub(start, start) == "{" and members(start + 1, message, "", 0)
  if stop and skip(stop) > #text then
    return bad
  end
  return nil, rule
end

-- The text of a field of the object that Envoy has written, and not of one within it.
function M.text_of(object, name)
  local at, depth = 1, 0
  while true do
    at = object:find('["{}%[%]]', at)
    local sign = at and object:sub(at, at)
    if not sign then
      return nil
    elseif sign == '"' then
      local stop = string_end(object, at + 1)
      if not stop then
        return nil
      elseif depth == 1 and object:sub(at + 1, stop + 1) == name .. '":' then
        return object:match('^"([^"\\]*)"', stop + 2)
      end
      at = stop + 1
    else
      depth = depth + ((sign == "{" or sign == "[") and 1 or -1)
      at = at + 1
    end
  end
end

return M
