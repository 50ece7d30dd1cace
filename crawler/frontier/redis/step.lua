-- What every step begins with: what it needs, and whether it was made before.
local P = KEYS[1]
local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

-- A process counts its writing steps, and says which was the last that was acknowledged. If that is
-- not here, the engine has lost it: by a failover, a power failure, or an old copy of its files.
local step, by, last, own = string.match(ARGV[1], '^(%S+) ?(%S*) ?(%S*) ?(%S*)$')
local repeated = false
if by ~= '' then
  local here = tonumber(call('GET', P .. 'by:' .. by) or 0)
  if tonumber(last) > here then return redis.error_reply('LOST') end
  -- It lay in a dead connection, and has been made again since, or given up.
  if own ~= '' and tonumber(own) < here then return redis.error_reply('LATE') end
  repeated = tonumber(own) == here
  if own ~= '' then call('SET', P .. 'by:' .. by, own, 'EX', 2592000) end
end
