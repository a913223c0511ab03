-- A stream as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): Envoy writes `data:`, and
-- here is what lets a reader go on where it was.

local json = require("json")

local M = {}

-- Whether a request takes server-sent events: where it says nothing it takes all.
function M.is_wanted(accept)
  local wanted = not accept
  for kind, parameters in (accept or ""):lower():gmatch("([^,; ]+) *([^,]*)") do
    local refused = parameters:find("^; *q=0%.?0*$")
    wanted = wanted or not refused and (kind == "text/event-stream" or kind == "text/*" or kind == "*/*")
  end
  return wanted
end

-- A reader that reconnects sends the id of the last event that it has had, to the URL of the first time: the id wins.
function M.resume(headers)
  local token = headers:get("last-event-id")
  if not token or token == "" then
    return
  end
  token = token:gsub("[^%w_-]", function(sign)
    return ("%%%02X"):format(sign:byte())
  end)
  local path, query = headers:get(":path"):match("^([^?]*)%??(.*)$")
  local parts = { "resumeToken=" .. token }
  for part in query:gmatch("[^&]+") do
    if not part:find("^resume_?[tT]oken=") and not part:find("^send_?[iI]nitial=") then
      parts[#parts + 1] = part
    end
  end
  headers:replace(":path", path .. "?" .. table.concat(parts, "&"))
end

-- An event's id is its token. What is no event is the status of a call that failed before its first one.
local function event(line)
  local data = line:match("^data: (.*)$")
  if not data then
    return "event: error\ndata: " .. line .. "\n\n"
  end
  local token = json.text_of(data, "resumeToken")
  return (token and "id: " .. token .. "\n" or "") .. line .. "\n\n"
end

function M.number(handle)
  handle:headers():replace("cache-control", "no-store")
  handle:headers():replace("x-accel-buffering", "no") -- or nginx, where it stands before, would keep events back
  -- one line of it is one message, and a chunk has whole ones
  for chunk in handle:bodyChunks() do
    local text = chunk:getBytes(0, chunk:length())
    chunk:setBytes((text:gsub("([^\n]+)\n*", event)))
  end
end

return M
