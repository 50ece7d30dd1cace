-- One step of one shard, made as a whole. KEYS[1] is the shard's prefix, whose hash tag keeps all
-- of its keys on one node of a cluster; ARGV[1] names the step.
--
--   depth    URL (a fingerprint) -> how deep it lies: all that is known
--   page     URL -> [url, source, redirects] as JSON, until it is done
--   queue:H  the waiting pages of host H, by depth; claimed:H those that its owner has
--   open     host -> how many of its pages are not done; pages: how many are known
--   owner    host -> worker; held:W its hosts; free: hosts to be had, by the time they are ready
--   levels   depth -> how many pages of it are not done
--   outbox   what pages led to, until all shards have been told of it
--   kept     URL -> the same of a page that is done and may turn out to be nearer; by_depth
--   workers  by the time at which each counts as dead
local p, step = KEYS[1], ARGV[1]
local call = redis.call

local function now()
  local time = call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function list_if_free(host)
  if not call('HGET', p .. 'owner', host) and call('ZCARD', p .. 'queue:' .. host) > 0 then
    call('ZADD', p .. 'free', call('HGET', p .. 'ready', host) or 0, host)
  end
end

local function free(host, worker)
  local claimed = p .. 'claimed:' .. host
  for _, url in ipairs(call('SMEMBERS', claimed)) do
    call('ZADD', p .. 'queue:' .. host, call('HGET', p .. 'depth', url), url)
  end
  call('DEL', claimed)
  call('HDEL', p .. 'owner', host)
  call('SREM', p .. 'held:' .. worker, host)
  list_if_free(host)
end

local function bury(worker)
  for _, host in ipairs(call('SMEMBERS', p .. 'held:' .. worker)) do
    free(host, worker)
  end
  call('ZREM', p .. 'workers', worker)
end

local function count_level(depth, n)
  if call('HINCRBY', p .. 'levels', depth, n) == 0 then
    call('HDEL', p .. 'levels', depth)
  end
end

-- The worker lives; others may not.
local function hear(worker, lease)
  if not call('ZSCORE', p .. 'workers', worker) then
    return false
  end
  local time = now()
  call('ZADD', p .. 'workers', time + lease, worker)
  for _, other in ipairs(call('ZRANGEBYSCORE', p .. 'workers', '-inf', '(' .. time)) do
    bury(other)
  end
  return true
end

-- Have others told of what a page led to: all of it, or what is said is forgotten with this step.
local function send(depth, entry)
  call('HSET', p .. 'outbox', call('INCR', p .. 'sent'), depth .. ' ' .. entry)
end

local function add(url, text, host, depth, named, most)
  if named then
    call('SADD', p .. 'named', host)
  end
  local before = call('HGET', p .. 'depth', url)
  if before then
    before = tonumber(before)
    if before <= depth then
      return 0
    end
    call('HSET', p .. 'depth', url, depth)
    if call('HEXISTS', p .. 'page', url) == 1 then
      count_level(before, -1)
      count_level(depth, 1)
      call('ZADD', p .. 'queue:' .. host, 'XX', depth, url)
    else
      local kept = call('HGET', p .. 'kept', url)
      if kept then
        call('ZADD', p .. 'by_depth', depth, url)
        send(depth, kept)
      end
    end
    return 0
  end
  if most >= 0 and tonumber(call('HGET', p .. 'pages', host) or 0) >= most then
    return 0
  end
  call('HSET', p .. 'depth', url, depth)
  call('HSET', p .. 'page', url, text)
  call('HINCRBY', p .. 'pages', host, 1)
  call('HINCRBY', p .. 'open', host, 1)
  call('ZADD', p .. 'queue:' .. host, depth, url)
  count_level(depth, 1)
  list_if_free(host)
  return 1
end

local function take(host, most, share, pages)
  local taken = call('ZPOPMIN', p .. 'queue:' .. host, math.min(most, share))
  local named = call('SISMEMBER', p .. 'named', host)
  for i = 1, #taken, 2 do
    call('SADD', p .. 'claimed:' .. host, taken[i])
    local text = call('HGET', p .. 'page', taken[i])
    table.insert(pages, { text, tonumber(taken[i + 1]), named })
  end
  return #taken / 2
end

if step == 'add' then -- returns how many were new, and whether there is more in the outbox now
  local new, sent = 0, call('GET', p .. 'sent')
  for _, item in ipairs(cjson.decode(ARGV[2])) do
    new = new + add(item[1], item[2], item[3], item[4], item[5], tonumber(ARGV[3]))
  end
  call('INCR', p .. 'steps')
  return { new, call('GET', p .. 'sent') == sent and 0 or 1 }
end

if step == 'close' then -- a URL that need not be fetched
  call('HSETNX', p .. 'depth', ARGV[2], ARGV[3])
  return 0
end

if step == 'join' then
  call('ZADD', p .. 'workers', now() + tonumber(ARGV[3]), ARGV[2])
  return 0
end

if step == 'look' then -- worker, lease
  if not hear(ARGV[2], tonumber(ARGV[3])) then
    return false
  end
  local least, left = -1, 0
  local levels = call('HGETALL', p .. 'levels')
  for i = 1, #levels, 2 do
    local depth = tonumber(levels[i])
    left = left + tonumber(levels[i + 1])
    if least < 0 or depth < least then
      least = depth
    end
  end
  return {
    call('HLEN', p .. 'open'), call('SCARD', p .. 'held:' .. ARGV[2]), call('ZCARD', p .. 'workers'),
    least, left, call('HLEN', p .. 'outbox'), tonumber(call('GET', p .. 'steps') or 0),
  }
end

if step == 'claim' then -- worker, lease, most, hosts, share, full
  if not hear(ARGV[2], tonumber(ARGV[3])) then
    return false
  end
  local worker, most, hosts, share = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local full, pages, taken = {}, {}, 0
  for _, host in ipairs(cjson.decode(ARGV[7])) do
    full[host] = true
  end
  for _, host in ipairs(call('SMEMBERS', p .. 'held:' .. worker)) do
    if taken < most and not full[host] then
      taken = taken + take(host, most - taken, share, pages)
    end
  end
  if hosts > 0 and taken < most then
    local ready = call('ZRANGEBYSCORE', p .. 'free', '-inf', now(), 'LIMIT', 0, hosts)
    for _, host in ipairs(ready) do
      if taken < most then
        call('ZREM', p .. 'free', host)
        call('HSET', p .. 'owner', host, worker)
        call('SADD', p .. 'held:' .. worker, host)
        hosts = hosts - 1
        taken = taken + take(host, most - taken, share, pages)
      end
    end
  end
  call('INCR', p .. 'steps')
  return { cjson.encode(pages), hosts }
end

if step == 'check' or step == 'commit' then -- worker, lease, least, done
  if not hear(ARGV[2], tonumber(ARGV[3])) then
    return 0
  end
  local worker, least, done = ARGV[2], tonumber(ARGV[4]), cjson.decode(ARGV[5])
  for _, page in ipairs(done) do
    local host = page[2]
    if host ~= '' and (call('HGET', p .. 'owner', host) ~= worker
        or call('SISMEMBER', p .. 'claimed:' .. host, page[1]) == 0) then
      return 0
    end
  end
  if step == 'check' then
    return 1
  end
  for _, page in ipairs(done) do
    local url, host, entry, rest = page[1], page[2], page[3], page[4]
    if host == '' then
      send(0, entry)
    else
      local depth = tonumber(call('HGET', p .. 'depth', url))
      if entry ~= '' then
        send(depth, entry)
        if depth > least then
          call('HSET', p .. 'kept', url, entry)
          call('ZADD', p .. 'by_depth', depth, url)
        end
      end
      call('SREM', p .. 'claimed:' .. host, url)
      call('HDEL', p .. 'page', url)
      count_level(depth, -1)
      if rest > 0 then
        call('HSET', p .. 'ready', host, now() + rest)
      end
      if call('HINCRBY', p .. 'open', host, -1) == 0 then
        call('HDEL', p .. 'open', host)
        call('HDEL', p .. 'owner', host)
        call('SREM', p .. 'held:' .. worker, host)
      end
    end
  end
  for _, url in ipairs(call('ZRANGEBYSCORE', p .. 'by_depth', '-inf', least)) do
    call('HDEL', p .. 'kept', url)
    call('ZREM', p .. 'by_depth', url)
  end
  call('INCR', p .. 'steps')
  return 1
end

if step == 'status' then
  local open = 0
  for _, n in ipairs(call('HVALS', p .. 'levels')) do
    open = open + tonumber(n)
  end
  local claimed = 0
  local hosts = call('HKEYS', p .. 'owner')
  for _, host in ipairs(hosts) do
    claimed = claimed + call('SCARD', p .. 'claimed:' .. host)
  end
  return {
    call('ZCARD', p .. 'workers'), call('HLEN', p .. 'depth'), open, claimed,
    call('HLEN', p .. 'open'), #hosts, call('HLEN', p .. 'outbox'),
  }
end

if step == 'outbox' then
  return call('HGETALL', p .. 'outbox')
end

if step == 'sent' then -- all shards have been told of these
  for i = 2, #ARGV do
    call('HDEL', p .. 'outbox', ARGV[i])
  end
  call('INCR', p .. 'steps')
  return 0
end

if step == 'release' then -- worker, host, rest
  if call('HGET', p .. 'owner', ARGV[3]) == ARGV[2] then
    if tonumber(ARGV[4]) > 0 then
      call('HSET', p .. 'ready', ARGV[3], now() + tonumber(ARGV[4]))
    end
    free(ARGV[3], ARGV[2])
  end
  return 0
end

if step == 'leave' then
  bury(ARGV[2])
  call('INCR', p .. 'steps')
  return 0
end

return redis.error_reply('no such step: ' .. step)
