-- One step of one shard of a crawl. KEYS[1] begins the names of all its keys and has the hash tag
-- that keeps them on one node; ARGV[1] names the step, and who
-- makes it.
--
--   seen:<12 bits>   hash: 9 bytes of a URL's fingerprint -> its depth. The engine keeps a hash of
--                    up to 128 fields packed, so a shard has 4,096 of them, for half a million URLs
--   urls             hash: fingerprint -> what is to be fetched, as long as it is not done
--   q:<host>         sorted set: fingerprints that wait, by depth
--   c:<host>         hash: fingerprints that are claimed -> the claim, or what was made ready of it
--   host:<host>      hash: o open pages, n pages, w owner, r ready at, d longest rest, m named
--   free             sorted set: hosts with waiting pages and without an owner, by ready time
--   held:<worker>    set: the hosts of a worker; work:<worker> those of them where a page waits
--   levels           hash: o<depth> open pages, a<depth> pages that ever came to be there
--   kept:<depth>     hash: fingerprint -> packed links of a page that may turn out to be nearer
--   relink           hash: the same of pages that did; each counts as open
--   begun            set: places where the crawl belongs
--   by:<process>     the last of its writing steps; forgotten after 30 days
--   used:<process>   of how much room its last step "add" made use, if that was limited
--   gone             set: workers that are no more, whose late steps are refused
--   stat             hash: hosts with open pages, known pages, waiting ones, claimed ones
--
-- Every step may be repeated when it is not known whether it was made: it changes nothing then.

local function seen(fp)
  return P .. 'seen:' .. string.sub(fp, 1, 1) .. string.byte(fp, 2) % 16
end

local function depth_of(fp)
  local depth = call('HGET', seen(fp), string.sub(fp, 2))
  return depth and tonumber(depth) or nil
end

local function set_depth(fp, depth)
  call('HSET', seen(fp), string.sub(fp, 2), depth)
end

local function opens(depth, n)
  call('HINCRBY', P .. 'levels', 'o' .. depth, n)
  call('HINCRBY', P .. 'levels', 'a' .. depth, n)
end

local function closes(depth, n)
  if call('HINCRBY', P .. 'levels', 'o' .. depth, -n) == 0 then
    call('HDEL', P .. 'levels', 'o' .. depth)
  end
end

local function count(name, n)
  call('HINCRBY', P .. 'stat', name, n)
end

-- Put a host where it is found: with its owner, or among the free ones.
local function offer(host)
  local owner, ready = unpack(call('HMGET', P .. 'host:' .. host, 'w', 'r'))
  if call('EXISTS', P .. 'q:' .. host) == 0 then
    if owner then call('ZREM', P .. 'work:' .. owner, host) else call('ZREM', P .. 'free', host) end
  elseif owner then
    call('ZADD', P .. 'work:' .. owner, 'NX', now, host)
  elseif ready then
    call('ZADD', P .. 'free', ready, host)
  else
    call('ZADD', P .. 'free', 'NX', string.format('%.6f', now), host)
  end
end

local function rest(host, seconds)
  if seconds <= 0 then return end
  local ready = tonumber(call('HGET', P .. 'host:' .. host, 'r') or 0)
  if now + seconds > ready then
    call('HSET', P .. 'host:' .. host, 'r', string.format('%.6f', now + seconds))
  end
end

-- A host without open pages is forgotten, unless there is something to remember.
local function let_go(host)
  local key = P .. 'host:' .. host
  count('hosts', -1)
  local owner, ready, named, pages = unpack(call('HMGET', key, 'w', 'r', 'm', 'n'))
  if owner then
    call('HDEL', key, 'w')
    call('SREM', P .. 'held:' .. owner, host)
    call('ZREM', P .. 'work:' .. owner, host)
  end
  if not named and not pages then
    local left = tonumber(ready or 0) - now
    if left > 0 then call('PEXPIRE', key, math.ceil(left * 1000)) else call('DEL', key) end
  end
end

local function relink(fp, depth, links)
  call('HSET', P .. 'relink', fp, links)
  opens(depth, 1)
end

-- Pages are over with: for each its host, fingerprint, and what was made ready of it. What they led
-- to is in the shards. What is counted is counted once for all of them.
local function end_pages(pages, least)
  local by_host, levels = {}, {}
  for _, page in ipairs(pages) do
    local host, fp, made = unpack(page)
    local depth = depth_of(fp)
    if depth < made[2] then
      relink(fp, depth, made[4])
    elseif depth > least then
      call('HSET', P .. 'kept:' .. depth, fp, made[4])
    end
    levels[depth] = (levels[depth] or 0) + 1
    by_host[host] = by_host[host] or {}
    table.insert(by_host[host], fp)
    if made[3] > 0 then
      rest(host, made[3])
      call('HSET', P .. 'host:' .. host, 'd', made[3])
    end
  end
  for depth, n in pairs(levels) do closes(depth, n) end
  for host, fps in pairs(by_host) do
    call('HDEL', P .. 'c:' .. host, unpack(fps))
    call('HDEL', P .. 'urls', unpack(fps))
    if call('HINCRBY', P .. 'host:' .. host, 'o', -#fps) == 0 then let_go(host) end
  end
  if #pages > 0 then count('claimed', -#pages) end
end

-- What was made ready of a claim, or nil.
local function made_ready(value)
  if string.sub(value, 1, 1) == 'P' then return cmsgpack.unpack(string.sub(value, 2)) end
end

local function free(host, pause)
  for _, fp in ipairs(call('HKEYS', P .. 'c:' .. host)) do
    call('ZADD', P .. 'q:' .. host, depth_of(fp), fp)
    count('claimed', -1)
    count('waiting', 1)
  end
  call('DEL', P .. 'c:' .. host)
  local owner = call('HGET', P .. 'host:' .. host, 'w')
  call('HDEL', P .. 'host:' .. host, 'w')
  call('SREM', P .. 'held:' .. owner, host)
  call('ZREM', P .. 'work:' .. owner, host)
  rest(host, pause)
  offer(host)
end

local function take(worker, host, most, request, result)
  local found = call('ZRANGE', P .. 'q:' .. host, 0, most - 1, 'WITHSCORES')
  local named = call('HGET', P .. 'host:' .. host, 'm') or ''
  local fps, claims = {}, {}
  for i = 1, #found, 2 do
    fps[#fps + 1] = found[i]
    claims[i], claims[i + 1] = found[i], request
  end
  if #fps > 0 then
    for i, packed in ipairs(call('HMGET', P .. 'urls', unpack(fps))) do
      local page = cmsgpack.unpack(packed)
      result[#result + 1] = { page[1], page[2], tonumber(found[2 * i]), page[3], named }
    end
    call('HSET', P .. 'c:' .. host, unpack(claims))
    call('ZREM', P .. 'q:' .. host, unpack(fps))
    count('claimed', #fps)
    count('waiting', -#fps)
  end
  call('ZREM', P .. 'work:' .. worker, host)
  offer(host)
  return #fps
end

local steps = {}

-- worker -> hosts with open pages, held ones, free ones that are ready, those with work, links to
-- be told again, and the levels. Drops what is kept of levels where nothing changes any more.
function steps.peek()
  local worker, least = ARGV[2], tonumber(ARGV[3])
  local before = tonumber(call('HGET', P .. 'stat', 'least') or -1)
  if least > before then
    for depth = before + 1, least do call('UNLINK', P .. 'kept:' .. depth) end
    call('HSET', P .. 'stat', 'least', least)
  end
  return {
    tonumber(call('HGET', P .. 'stat', 'hosts') or 0),
    call('SCARD', P .. 'held:' .. worker),
    call('ZCOUNT', P .. 'free', '-inf', now),
    call('ZCARD', P .. 'work:' .. worker),
    call('HLEN', P .. 'relink'),
    call('HGETALL', P .. 'levels'),
  }
end

-- worker, most, new hosts, share of a host, request, full hosts...
function steps.take()
  local worker, most, room, share = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local request = ARGV[6]
  if call('SISMEMBER', P .. 'gone', worker) == 1 then return redis.error_reply('FENCED') end
  local result, taken, full = {}, 0, {}
  if repeated then
    for _, host in ipairs(call('SMEMBERS', P .. 'held:' .. worker)) do
      local named = call('HGET', P .. 'host:' .. host, 'm') or ''
      local claims = call('HGETALL', P .. 'c:' .. host)
      for i = 1, #claims, 2 do
        if claims[i + 1] == request then
          local page = cmsgpack.unpack(call('HGET', P .. 'urls', claims[i]))
          result[#result + 1] = { page[1], page[2], depth_of(claims[i]), page[3], named }
        end
      end
    end
    return result
  end
  for i = 7, #ARGV do full[ARGV[i]] = true end
  for _, host in ipairs(call('ZRANGE', P .. 'work:' .. worker, 0, most + #ARGV - 7)) do
    if taken >= most then break end
    if not full[host] then
      taken = taken + take(worker, host, math.min(share, most - taken), request, result)
    end
  end
  if room > 0 and taken < most then
    local hosts = call(
      'ZRANGEBYSCORE', P .. 'free', '-inf', now, 'LIMIT', 0, math.min(room, most - taken))
    for _, host in ipairs(hosts) do
      if taken >= most then break end
      call('HSET', P .. 'host:' .. host, 'w', worker)
      call('SADD', P .. 'held:' .. worker, host)
      call('ZREM', P .. 'free', host)
      taken = taken + take(worker, host, math.min(share, most - taken), request, result)
    end
  end
  return result
end

-- room, pages of a host at most (-1: no limit), then for each: kind, fingerprint, URL, host, depth,
-- redirects, source, place. Kinds: l of the list, f found, m moved. -> how much of the room is used
function steps.add()
  if repeated then return tonumber(call('GET', P .. 'used:' .. by) or 0) end
  local room, per_host = tonumber(ARGV[2]), tonumber(ARGV[3])
  local used, levels, hosts = 0, {}, {}
  for i = 4, #ARGV, 8 do
    local kind, fp, url, host = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local depth, place = tonumber(ARGV[i + 4]), ARGV[i + 7]
    local key = P .. 'host:' .. host
    local known = depth_of(fp)
    if kind ~= 'f' and place ~= '' then call('SADD', P .. 'begun', place) end
    if kind == 'l' then
      call('HSET', key, 'm', '1')
      call('PERSIST', key)
    end
    if known then
      if depth < known and kind ~= 'm' then
        set_depth(fp, depth)
        if call('HEXISTS', P .. 'urls', fp) == 1 then
          closes(known, 1)
          opens(depth, 1)
          call('ZADD', P .. 'q:' .. host, 'XX', depth, fp)
        else
          local links = call('HGET', P .. 'kept:' .. known, fp)
          if links then
            call('HDEL', P .. 'kept:' .. known, fp)
            relink(fp, depth, links)
          elseif call('HEXISTS', P .. 'relink', fp) == 1 then
            closes(known, 1)
            opens(depth, 1)
          end
        end
      end
    elseif kind == 'm' then
      set_depth(fp, depth)
    elseif kind == 'f' and place ~= '' and call('SISMEMBER', P .. 'begun', place) == 0 then
      -- The crawl does not belong there.
    elseif used < room or room < 0 then
      local pages = per_host < 0 and 0 or tonumber(call('HGET', key, 'n') or 0)
      if per_host < 0 or pages < per_host then
        used = used + 1
        set_depth(fp, depth)
        call('HSET', P .. 'urls', fp, cmsgpack.pack({ url, ARGV[i + 6], ARGV[i + 5] }))
        call('ZADD', P .. 'q:' .. host, depth, fp)
        levels[depth] = (levels[depth] or 0) + 1
        hosts[host] = (hosts[host] or 0) + 1
        if per_host >= 0 then call('HINCRBY', key, 'n', 1) end
      end
    end
  end
  for depth, n in pairs(levels) do opens(depth, n) end
  for host, n in pairs(hosts) do
    if call('HINCRBY', P .. 'host:' .. host, 'o', n) == n then
      count('hosts', 1)
      call('PERSIST', P .. 'host:' .. host)
    end
    offer(host)
  end
  if used > 0 then
    count('known', used)
    count('waiting', used)
  end
  -- Only what is limited needs to be known again.
  if room >= 0 and by ~= '' then call('SET', P .. 'used:' .. by, used, 'EX', 2592000) end
  return used
end

-- worker, batch, then for each page: fingerprint, host, rest, packed links -> their depths.
-- All of the pages are the worker's, or nothing is done.
function steps.prepare()
  local worker, batch, depths, by_host = ARGV[2], tonumber(ARGV[3]), {}, {}
  if call('SISMEMBER', P .. 'gone', worker) == 1 then return redis.error_reply('FENCED') end
  for i = 4, #ARGV, 4 do
    local fp, host = ARGV[i], ARGV[i + 1]
    by_host[host] = by_host[host] or { owner = call('HGET', P .. 'host:' .. host, 'w') }
    if by_host[host].owner ~= worker or call('HEXISTS', P .. 'c:' .. host, fp) == 0 then
      return redis.error_reply('FENCED')
    end
    local depth = depth_of(fp)
    depths[#depths + 1] = depth
    local made = { batch, depth, tonumber(ARGV[i + 2]), ARGV[i + 3] }
    table.insert(by_host[host], fp)
    table.insert(by_host[host], 'P' .. cmsgpack.pack(made))
  end
  for host, words in pairs(by_host) do call('HSET', P .. 'c:' .. host, unpack(words)) end
  return depths
end

-- worker, batch, least, then for each page: fingerprint, host
function steps.finish()
  local worker, batch = ARGV[2], tonumber(ARGV[3])
  local least = math.max(tonumber(ARGV[4]), tonumber(call('HGET', P .. 'stat', 'least') or -1))
  local pages, owners = {}, {}
  for i = 5, #ARGV, 2 do
    local fp, host = ARGV[i], ARGV[i + 1]
    owners[host] = owners[host] or call('HGET', P .. 'host:' .. host, 'w') or ''
    local value = owners[host] == worker and call('HGET', P .. 'c:' .. host, fp)
    local made = value and made_ready(value)
    if made and made[1] == batch then pages[#pages + 1] = { host, fp, made } end
  end
  end_pages(pages, least)
end

-- worker, then for each host: its name, seconds that it is to be left alone
function steps.release()
  local worker = ARGV[2]
  for i = 3, #ARGV, 2 do
    if call('HGET', P .. 'host:' .. ARGV[i], 'w') == worker then
      free(ARGV[i], tonumber(ARGV[i + 1]))
    end
  end
end

-- worker, its last batch that counts, usual delay, most hosts -> whether there is more to do.
-- The claims of that batch are over with, and all others wait again.
function steps.bury()
  local worker, batch, delay, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  call('SADD', P .. 'gone', worker)
  local hosts = call('SRANDMEMBER', P .. 'held:' .. worker, most)
  for _, host in ipairs(hosts) do
    local claims, pages = call('HGETALL', P .. 'c:' .. host), {}
    for i = 1, #claims, 2 do
      local made = made_ready(claims[i + 1])
      if made and made[1] == batch then pages[#pages + 1] = { host, claims[i], made } end
    end
    end_pages(pages, -1)
    if call('HGET', P .. 'host:' .. host, 'w') == worker then
      free(host, math.max(delay, tonumber(call('HGET', P .. 'host:' .. host, 'd') or 0)))
    end
  end
  return call('SCARD', P .. 'held:' .. worker)
end

-- most -> for each page whose links are to be told again: fingerprint, depth, packed links
function steps.relinks()
  local result = {}
  local found = call('HRANDFIELD', P .. 'relink', tonumber(ARGV[2]), 'WITHVALUES')
  for i = 1, #found, 2 do
    result[#result + 1] = { found[i], depth_of(found[i]), found[i + 1] }
  end
  return result
end

-- least, then for each page whose links have been told: fingerprint, depth
function steps.relinked()
  for i = 3, #ARGV, 2 do
    local fp, depth = ARGV[i], tonumber(ARGV[i + 1])
    local links = call('HGET', P .. 'relink', fp)
    if links and depth_of(fp) == depth then
      call('HDEL', P .. 'relink', fp)
      if depth > tonumber(ARGV[2]) then call('HSET', P .. 'kept:' .. depth, fp, links) end
      closes(depth, 1)
    end
  end
end

-- how many hosts to look at, workers... -> stat, free hosts, ready ones, the hosts that each worker
-- holds, some hosts with their queues, open pages, pages whose links are to be told again, seconds
-- for which the first free host has been ready
function steps.status()
  local held, queues, open = {}, {}, 0
  for i = 3, #ARGV do held[#held + 1] = call('SCARD', P .. 'held:' .. ARGV[i]) end
  local function look(hosts)
    for _, host in ipairs(hosts) do
      queues[#queues + 1] = { host, call('ZCARD', P .. 'q:' .. host) }
    end
  end
  if tonumber(ARGV[2]) > 0 then
    look(call('ZRANGE', P .. 'free', 0, ARGV[2] - 1))
    for i = 3, #ARGV do look(call('ZRANGE', P .. 'work:' .. ARGV[i], 0, ARGV[2] - 1)) end
  end
  local levels = call('HGETALL', P .. 'levels')
  for i = 1, #levels, 2 do
    if string.sub(levels[i], 1, 1) == 'o' then open = open + tonumber(levels[i + 1]) end
  end
  local first = call('ZRANGE', P .. 'free', 0, 0, 'WITHSCORES')[2]
  local lag = first and math.max(0, now - tonumber(first)) or 0
  return {
    call('HGETALL', P .. 'stat'),
    call('ZCARD', P .. 'free'),
    call('ZCOUNT', P .. 'free', '-inf', now),
    held,
    queues,
    open,
    call('HLEN', P .. 'relink'),
    string.format('%.3f', lag),
  }
end

return steps[step]()
