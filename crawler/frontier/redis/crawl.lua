-- One step of what a crawl has once. KEYS[1] begins the names of its keys and has their hash tag;
-- ARGV[1] names the step, and who makes it.
--
--   crawl      hash: version, terms, shards, mode, listed, asked, worker, feeder
--   workers    sorted set: living workers, by when they count as dead
--   feeders    sorted set: who still reads a list, the same way
--   hungry     set: workers that would like to have more hosts
--   dying      set: workers that are fenced, and whose hosts are not all free again
--   decided    hash: worker -> its last batch that counts
--   about      hash: worker -> what it says of itself
--   outputs    hash: output -> how much of it counts; written: the same by worker
--   pages      hash: worker -> its pages
--   obey       set: workers that know of the mode, if there is one
--   by:<process>  the last of its writing steps; forgotten after 30 days
--   reserved:<process>  how many pages its last step "reserve" was given
--   counts     hash: what all commits have counted

local function fence(worker)
  call('ZREM', P .. 'workers', worker)
  call('SREM', P .. 'hungry', worker)
  call('SREM', P .. 'obey', worker)
  call('SADD', P .. 'dying', worker)
end

local function hear(worker, lease)
  if not call('ZSCORE', P .. 'workers', worker) then return false end
  call('ZADD', P .. 'workers', now + lease, worker)
  return true
end

local steps = {}

-- version, terms, shards -> what the crawl has of them, and whether it is new
function steps.begin()
  local new = call('HSETNX', P .. 'crawl', 'version', ARGV[2])
  if new == 1 then call('HSET', P .. 'crawl', 'terms', ARGV[3], 'shards', ARGV[4]) end
  local found = call('HMGET', P .. 'crawl', 'version', 'terms', 'shards')
  found[4] = new
  return found
end

-- lease -> the number of one who reads a list
function steps.feed()
  local feeder = call('HINCRBY', P .. 'crawl', 'feeder', 1)
  call('ZADD', P .. 'feeders', now + tonumber(ARGV[2]), feeder)
  return feeder
end

-- feeder, lease
function steps.feeding()
  call('ZADD', P .. 'feeders', now + tonumber(ARGV[3]), ARGV[2])
end

-- feeder
function steps.fed()
  call('ZREM', P .. 'feeders', ARGV[2])
  call('HSET', P .. 'crawl', 'listed', 1)
end

-- lease, what it says of itself, its output -> the number of a new worker
function steps.join()
  local worker = call('HINCRBY', P .. 'crawl', 'worker', 1)
  call('ZADD', P .. 'workers', now + tonumber(ARGV[2]), worker)
  call('HSET', P .. 'about', worker, ARGV[3])
  if ARGV[4] ~= '' then call('HSETNX', P .. 'outputs', ARGV[4], 0) end
  return worker
end

-- worker -> how long its output was at its last commit
function steps.written()
  return tonumber(call('HGET', P .. 'written', ARGV[2]) or 0)
end

-- -> version, terms and shards of a crawl that there is
function steps.known()
  return call('HMGET', P .. 'crawl', 'version', 'terms', 'shards')
end

-- worker, lease, feeder -> living workers, whether others are hungry, whether lists are read to
-- their ends, mode, and for each that is dying: its number and its last batch
function steps.hear()
  local worker, lease = ARGV[2], tonumber(ARGV[3])
  if not hear(worker, lease) then return redis.error_reply('FENCED') end
  call('ZADD', P .. 'feeders', 'XX', now + lease, ARGV[4])
  call('ZREMRANGEBYSCORE', P .. 'feeders', '-inf', '(' .. now)
  for _, other in ipairs(call('ZRANGEBYSCORE', P .. 'workers', '-inf', '(' .. now)) do
    fence(other)
  end
  local hungry = call('SCARD', P .. 'hungry') - call('SISMEMBER', P .. 'hungry', worker)
  local listed, mode = unpack(call('HMGET', P .. 'crawl', 'listed', 'mode'))
  if mode and mode ~= '' then call('SADD', P .. 'obey', worker) end
  local read = listed and call('ZCARD', P .. 'feeders') == 0
  local result = { call('ZCARD', P .. 'workers'), hungry, read and 1 or 0, mode or '' }
  for _, other in ipairs(call('SMEMBERS', P .. 'dying')) do
    result[#result + 1] = other
    result[#result + 1] = call('HGET', P .. 'decided', other) or '-1'
  end
  return result
end

-- worker, whether it is hungry
function steps.hungry()
  if ARGV[3] == '0' then
    call('SREM', P .. 'hungry', ARGV[2])
  elseif call('ZSCORE', P .. 'workers', ARGV[2]) then
    call('SADD', P .. 'hungry', ARGV[2])
  end
end

-- worker, lease, batch, output, its length, then names and numbers. From here on the batch counts.
function steps.decide()
  local worker, batch = ARGV[2], ARGV[4]
  if not hear(worker, tonumber(ARGV[3])) then return redis.error_reply('FENCED') end
  if call('HGET', P .. 'decided', worker) == batch then return end
  call('HSET', P .. 'decided', worker, batch)
  if ARGV[5] ~= '' then call('HSET', P .. 'outputs', ARGV[5], ARGV[6]) end
  call('HSET', P .. 'written', worker, ARGV[6])
  for i = 7, #ARGV, 2 do
    call('HINCRBY', P .. 'counts', ARGV[i], ARGV[i + 1])
    if ARGV[i] == 'pages' then call('HINCRBY', P .. 'pages', worker, ARGV[i + 1]) end
  end
end

-- worker -> its last batch, or -1: nothing that it does counts any more
function steps.fence()
  fence(ARGV[2])
  return tonumber(call('HGET', P .. 'decided', ARGV[2]) or -1)
end

-- worker, whose hosts are all free again
function steps.buried()
  call('SREM', P .. 'dying', ARGV[2])
  call('HDEL', P .. 'decided', ARGV[2])
  call('HDEL', P .. 'about', ARGV[2])
  call('HDEL', P .. 'pages', ARGV[2])
end

-- most that may be asked for, how many more are wanted -> how many may be
function steps.reserve()
  if repeated then
    local before = call('GET', P .. 'reserved:' .. by)
    if before then return tonumber(before) end
  end
  local asked = tonumber(call('HGET', P .. 'crawl', 'asked') or 0)
  local n = math.max(0, math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) - asked))
  call('HSET', P .. 'crawl', 'asked', asked + n)
  call('SET', P .. 'reserved:' .. by, n, 'EX', 2592000)
  return n
end

-- how many of them were not needed
function steps.unused()
  if repeated then return end
  call('HINCRBY', P .. 'crawl', 'asked', -tonumber(ARGV[2]))
end

-- mode
function steps.mode()
  if call('EXISTS', P .. 'crawl') == 0 then return 0 end
  call('HSET', P .. 'crawl', 'mode', ARGV[2])
  call('DEL', P .. 'obey')
  return 1
end

-- -> time, crawl, workers with times, about, pages, outputs, counts, hungry, dying, feeders,
-- who obeys
function steps.status()
  return {
    tostring(now),
    call('HGETALL', P .. 'crawl'),
    call('ZRANGE', P .. 'workers', 0, -1, 'WITHSCORES'),
    call('HGETALL', P .. 'about'),
    call('HGETALL', P .. 'pages'),
    call('HGETALL', P .. 'outputs'),
    call('HGETALL', P .. 'counts'),
    call('SMEMBERS', P .. 'hungry'),
    call('SMEMBERS', P .. 'dying'),
    call('ZCARD', P .. 'feeders'),
    call('SMEMBERS', P .. 'obey'),
  }
end

return steps[step]()
