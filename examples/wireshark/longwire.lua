-- A dissector for longwire frames, for Wireshark and tshark 3.6 and later.
--
--   | head | length | type | data | checksum | tail |
--
-- Put it into the folder of personal Lua plugins (Help, About Wireshark, Folders), or
-- name it: tshark -X lua_script:longwire.lua -r capture.pcap
--
-- Without settings it shows the default frame, | c8 | length uint32 | type uint16 | data
-- | c9 |, all big-endian, the length counting all of it, on TCP port 10302. A fleet with
-- another frame sets it under Preferences, Protocols, LONGWIRE, or with -o, as in
-- -o longwire.head:aa55 -o longwire.checksum:crc16_modbus. For other ports there is also
-- "Decode As...", as in -d tcp.port==9000,longwire.

-- What the types of your fleet are called, beside those in the preference.
local type_names = {
  -- [0x0010] = "rom_reset_status",
}

local longwire = Proto("longwire", "Longwire frames")

-- Settings.

local widths = { { 1, "1 byte", 1 }, { 2, "2 bytes", 2 }, { 3, "4 bytes", 4 } }
local type_widths = { { 1, "none", 0 }, { 2, "1 byte", 1 }, { 3, "2 bytes", 2 }, { 4, "4 bytes", 4 } }
local orders = { { 1, "big", 0 }, { 2, "little", 1 } }
local counts_what = { { 1, "frame", 0 }, { 2, "rest", 1 }, { 3, "data", 2 } }
local places = { { 1, "after the length", 0 }, { 2, "before the length", 1 } }
local checksums = {
  { 1, "none", 0 }, { 2, "sum8", 1 }, { 3, "xor8", 2 }, { 4, "crc16_modbus", 3 },
  { 5, "crc16_ccitt_false", 4 }, { 6, "crc32", 5 },
}
local checksum_sizes = { [0] = 0, [1] = 1, [2] = 1, [3] = 2, [4] = 2, [5] = 4 }

local p = longwire.prefs
p.ports = Pref.range("TCP ports", "10302", "Ports of listeners", 65535)
p.head = Pref.string("Head", "c8", "Bytes that every frame starts with, 0 to 4, in hexadecimal")
p.length_width = Pref.enum("Width of the length", 4, "Bytes of the length", widths, false)
p.counts = Pref.enum("The length counts", 0, "frame: all of it; rest: what follows the length; data: the data alone", counts_what, false)
p.type_width = Pref.enum("Width of the type", 2, "Bytes of the type", type_widths, false)
p.type_place = Pref.enum("The type stands", 0, "Before or after the length", places, false)
p.order = Pref.enum("Byte order", 0, "Byte order of length and type", orders, false)
p.checksum = Pref.enum("Checksum", 0, "What stands between the data and the tail; it is shown, and not verified", checksums, false)
p.tail = Pref.string("Tail", "c9", "Bytes that every frame ends with, 0 to 4, in hexadecimal")
p.max_frame = Pref.uint("Largest frame", 1048576, "A length that says more is wrong; in bytes, head to tail")
p.types = Pref.string("Types", "", "Names of types, as in 0x10=rom_reset_status, 32=reading")

-- Fields.

local f = longwire.fields
f.head = ProtoField.bytes("longwire.head", "Head")
f.length = ProtoField.uint32("longwire.length", "Length", base.DEC)
f.size = ProtoField.uint32("longwire.size", "Size of the frame", base.DEC)
f.type = ProtoField.uint32("longwire.type", "Type", base.HEX)
f.type_name = ProtoField.string("longwire.type_name", "Name of the type")
f.data = ProtoField.bytes("longwire.data", "Data")
f.checksum = ProtoField.bytes("longwire.checksum", "Checksum")
f.tail = ProtoField.bytes("longwire.tail", "Tail")
f.skipped = ProtoField.bytes("longwire.skipped", "No frame")
f.kind = ProtoField.string("longwire.kind", "Envelope")
f.data_type = ProtoField.string("longwire.data_type", "data_type")
f.key = ProtoField.string("longwire.call_back_key", "call_back_key")
f.status = ProtoField.string("longwire.status", "status")
f.message = ProtoField.string("longwire.message", "message")

local e = longwire.experts
e.tail = ProtoExpert.new("longwire.bad_tail", "The frame does not end with the tail", expert.group.MALFORMED, expert.severity.ERROR)
e.length = ProtoExpert.new("longwire.bad_length", "The length cannot be right", expert.group.MALFORMED, expert.severity.ERROR)
e.skipped = ProtoExpert.new("longwire.no_frame", "These bytes are no frame", expert.group.SEQUENCE, expert.severity.WARN)
e.refused = ProtoExpert.new("longwire.refused", "The answer says that it did not work", expert.group.RESPONSE_CODE, expert.severity.NOTE)

-- The frame, as the settings describe it.
local fmt = {}
local names = {}

local function from_hex(text, what)
  local bytes = {}
  text = text:gsub("%s", "")
  if #text % 2 ~= 0 or #text > 8 or text:find("[^%x]") then
    report_failure("longwire: " .. what .. " \"" .. text .. "\" is not 0 to 4 bytes in hexadecimal, as in c8")
    return bytes
  end
  for pair in text:gmatch("%x%x") do
    bytes[#bytes + 1] = tonumber(pair, 16)
  end
  return bytes
end

local function configure()
  fmt.head, fmt.tail = from_hex(p.head, "head"), from_hex(p.tail, "tail")
  fmt.little = p.order == 1
  fmt.length_width, fmt.type_width = p.length_width, p.type_width
  fmt.length_at, fmt.type_at = #fmt.head, #fmt.head
  if p.type_place == 1 then
    fmt.length_at = fmt.length_at + fmt.type_width
  else
    fmt.type_at = fmt.type_at + fmt.length_width
  end
  fmt.header = #fmt.head + fmt.length_width + fmt.type_width
  fmt.sum = checksum_sizes[p.checksum] or 0
  fmt.overhead = fmt.header + fmt.sum + #fmt.tail
  fmt.uncounted = ({ [0] = 0, [1] = fmt.length_at + fmt.length_width, [2] = fmt.overhead })[p.counts]

  names = {}
  if fmt.type_width >= 2 then
    names[0xff00], names[0xff01], names[0xff02] = "hello", "ping", "goaway"
  end
  for number, name in pairs(type_names) do
    names[number] = name
  end
  for number, name in p.types:gmatch("([%w]+)%s*=%s*([%w_%-]+)") do
    names[tonumber(number) or -1] = name
  end
end

local function number_at(tvb, at, width)
  if fmt.little then
    return tvb(at, width):le_uint()
  end
  return tvb(at, width):uint()
end

local function equal(tvb, at, bytes)
  for i, b in ipairs(bytes) do
    if tvb(at + i - 1, 1):uint() ~= b then
      return false
    end
  end
  return true
end

-- JSON: the members of an object that are strings, numbers or words. What is in objects
-- below it is passed over.

local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function json_string(text, at)
  local out, i = {}, at + 1
  while i <= #text do
    local stop = text:find('["\\]', i)
    if not stop then
      return nil
    end
    out[#out + 1] = text:sub(i, stop - 1)
    if text:sub(stop, stop) == '"' then
      return table.concat(out), stop + 1
    end
    local c = text:sub(stop + 1, stop + 1)
    if c == "u" then
      local code = tonumber(text:sub(stop + 2, stop + 5), 16)
      out[#out + 1] = code and code < 128 and string.char(code) or text:sub(stop, stop + 5)
      i = stop + 6
    else
      out[#out + 1] = escapes[c] or c
      i = stop + 2
    end
  end
  return nil
end

local function members(text)
  local found, depth, i, key = {}, 0, 1, nil
  while true do
    i = text:find("[^%s,]", i)
    if not i then
      return found
    end
    local c = text:sub(i, i)
    if c == "{" or c == "[" then
      depth, i, key = depth + 1, i + 1, nil
    elseif c == "}" or c == "]" then
      depth, i = depth - 1, i + 1
    elseif c == '"' then
      local s, after = json_string(text, i)
      if not s then
        return found
      end
      i = after
      if text:find("^%s*:", i) then
        key = s
        i = text:find(":", i, true) + 1
      elseif depth == 1 and key then
        found[key], key = s, nil
      end
    else
      local word = text:match("^[%w%.%+%-]+", i)
      if not word then
        return found
      end
      if depth == 1 and key then
        found[key], key = word, nil
      end
      i = i + #word
    end
  end
end

local json = Dissector.get("json")

local function envelope(range, pinfo, tree, item)
  local first, last = range(0, 1):uint(), range(range:len() - 1, 1):uint()
  if not (first == 0x7b and last == 0x7d or first == 0x5b and last == 0x5d) then
    return ""
  end
  if json then
    json:call(range:tvb(), pinfo, tree)
  end
  if first ~= 0x7b then
    return ""
  end
  local has = members(range:string())
  local summary = ""
  if has.call_back_key or has.status then
    local kind = has.status and "answer" or "question"
    tree:add(f.kind, range, kind):set_generated()
    summary = " " .. kind .. " " .. (has.call_back_key or "")
  end
  if has.data_type then tree:add(f.data_type, range, has.data_type):set_generated() end
  if has.call_back_key then tree:add(f.key, range, has.call_back_key):set_generated() end
  if has.status then
    local status = tree:add(f.status, range, has.status)
    status:set_generated()
    summary = summary .. " " .. has.status
    if not has.status:find("^2") then
      status:add_proto_expert_info(e.refused)
    end
  end
  if has.message then tree:add(f.message, range, has.message):set_generated() end
  item:append_text(summary)
  return summary
end

-- dissect_frame shows the frame at an offset, all of whose bytes are there.
local function dissect_frame(tvb, offset, size, pinfo, root)
  local tree = root:add(longwire, tvb(offset, size))
  if #fmt.head > 0 then
    tree:add(f.head, tvb(offset, #fmt.head))
  end
  local length = tvb(offset + fmt.length_at, fmt.length_width)
  tree:add(f.length, length, number_at(tvb, offset + fmt.length_at, fmt.length_width))
  tree:add(f.size, tvb(offset, size), size):set_generated()
  local text = ""
  local data_size = size - fmt.overhead
  if fmt.type_width > 0 then
    local at = offset + fmt.type_at
    local number = number_at(tvb, at, fmt.type_width)
    local item = tree:add(f.type, tvb(at, fmt.type_width), number)
    local name = names[number]
    if number == 0xff01 and name == "ping" and data_size > 0 then
      name = "pong"
    end
    text = string.format("0x%0" .. math.max(2, 2 * fmt.type_width) .. "x", number)
    if name then
      item:append_text(" (" .. name .. ")")
      tree:add(f.type_name, tvb(at, fmt.type_width), name):set_generated()
      text = text .. " " .. name
    end
    text = text .. ", "
  end
  text = text .. data_size .. (data_size == 1 and " byte" or " bytes")
  tree:append_text(", " .. text)
  if data_size > 0 then
    local range = tvb(offset + fmt.header, data_size)
    tree:add(f.data, range)
    text = text .. envelope(range, pinfo, tree, tree)
  end
  if fmt.sum > 0 then
    tree:add(f.checksum, tvb(offset + fmt.header + data_size, fmt.sum))
  end
  if #fmt.tail > 0 then
    local at = offset + size - #fmt.tail
    local item = tree:add(f.tail, tvb(at, #fmt.tail))
    if not equal(tvb, at, fmt.tail) then
      item:add_proto_expert_info(e.tail)
      text = text .. " [wrong tail]"
    end
  end
  return text
end

-- skip shows bytes that are no frame, up to where the next one may begin.
local function skip(tvb, offset, root, why)
  local stop, n = offset + 1, tvb:len()
  if #fmt.head > 0 then
    while stop < n and not equal(tvb, stop, { fmt.head[1] }) do
      stop = stop + 1
    end
  else
    stop = n -- nothing tells where the next one begins
  end
  local tree = root:add(longwire, tvb(offset, stop - offset))
  tree:append_text(", no frame")
  tree:add(f.skipped, tvb(offset, stop - offset)):add_proto_expert_info(why)
  return stop
end

-- at returns how many bytes the frame at an offset has; nil and how many more there must
-- be to know; or nil, nil and what is wrong.
local function size_at(tvb, offset)
  local have = tvb:len() - offset
  for i, b in ipairs(fmt.head) do
    if i > have then
      return nil, DESEGMENT_ONE_MORE_SEGMENT
    end
    if tvb(offset + i - 1, 1):uint() ~= b then
      return nil, nil, e.skipped
    end
  end
  if have < fmt.length_at + fmt.length_width then
    return nil, DESEGMENT_ONE_MORE_SEGMENT
  end
  local size = number_at(tvb, offset + fmt.length_at, fmt.length_width) + fmt.uncounted
  if size < fmt.overhead or size > p.max_frame then
    return nil, nil, e.length
  end
  if size > have then
    return nil, size - have
  end
  return size
end

function longwire.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "LONGWIRE"
  local offset, infos = 0, {}
  while offset < tvb:len() do
    local size, more, wrong = size_at(tvb, offset)
    if size then
      infos[#infos + 1] = dissect_frame(tvb, offset, size, pinfo, root)
      offset = offset + size
    elseif wrong then
      offset = skip(tvb, offset, root, wrong)
      infos[#infos + 1] = wrong == e.length and "[wrong length]" or "[no frame]"
    elseif pinfo.can_desegment > 0 then
      pinfo.desegment_offset, pinfo.desegment_len = offset, more
      break
    else
      infos[#infos + 1] = "[the rest of the frame is missing]"
      root:add(longwire, tvb(offset)):append_text(", the beginning of a frame")
      break
    end
  end
  -- The JSON dissector has written there, too.
  pinfo.cols.protocol = "LONGWIRE"
  pinfo.cols.info = #infos > 0 and table.concat(infos, " | ") or "a part of a frame"
  return tvb:len()
end

-- Ports.

local tcp = DissectorTable.get("tcp.port")
local registered

function longwire.prefs_changed()
  configure()
  if registered ~= p.ports then
    if registered then
      tcp:remove(registered, longwire)
    end
    registered = p.ports
    tcp:add(registered, longwire)
  end
end

configure()
registered = p.ports
tcp:add(registered, longwire)
-- Inside of TLS, when Wireshark has its keys: "Decode As...", TLS port.
pcall(function() DissectorTable.get("tls.port"):add_for_decode_as(longwire) end)
