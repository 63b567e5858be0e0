#!lua name=ias
-- Admission and accounting of one organisation, atomic. Every call names one key, {o:<tag>}; all others share its slot.
--
--   {o:T}:k:<sha256>    hash    a key: v st kid uid exp
--   {o:T}:v             hash    version of each projected section, and `complete`
--   {o:T}:org           hash    id st, x:<user> for each suspended user
--   {o:T}:pol           hash    limits: tokens udef u:<user> rps burst tpm conc urps uburst utpm uconc floor; -1 is "none"
--   {o:T}:routes        hash    public model name -> route (JSON)
--   {o:T}:bud:<YYYYMM>  hash    used resv, and u:<user> r:<user> of each user
--   {o:T}:resv          zset    request -> lease deadline, Unix seconds
--   {o:T}:live          hash    user -> requests under way
--   {o:T}:r:<request>   hash    reservation, then tombstone for 48 h
--   {o:T}:g             hash    theoretical arrival times (GCRA), microseconds
--   {o:T}:out           stream  outbox
--
-- Numbers are integers (exact below 2^53). Time and month are this server's, in UTC.

local TOMBSTONE_S = 172800

local function int(x) return string.format('%.0f', x) end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]), tonumber(t[2])
end

-- Civil date from days, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function period_of(sec)
  local z = math.floor(sec / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp + (mp < 10 and 3 or -9)
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d%02d', year, month)
end

-- Generic cell rate algorithm (ITU-T I.371). Answers: admitted, new arrival time, units left, µs until full, µs to wait.
local function gcra(tat, us, interval, burst, cost)
  tat = math.max(tonumber(tat) or 0, us)
  local after = tat + interval * cost
  local span = interval * burst
  local wait = after - span - us
  if wait > 0 then return false, tat, math.max(0, math.floor((us + span - tat) / interval)), tat - us, wait end
  return true, after, math.floor((us + span - after) / interval), after - us, 0
end

-- The narrower of organisation's and user's bucket speaks for the answer's headers.
local function buckets(P, us, kind, cost, org, user)
  local worst = { limit = -1, left = -1, reset = 0 }
  local writes = {}
  for _, b in ipairs({ org, user }) do
    if b.rate == 0 then return nil, { 'rate', kind, b.scope, '0', '0', '60000', '60000' } end
    if b.rate > 0 then
      local ok, tat, left, reset, wait = gcra(b.tat, us, 1000000 / b.per_s, b.burst, cost)
      if not ok then
        return nil, { 'rate', kind, b.scope, int(b.rate), int(left), int(math.ceil(wait / 1000)), int(math.ceil(reset / 1000)) }
      end
      writes[#writes + 1] = b.field
      writes[#writes + 1] = int(tat)
      if worst.left < 0 or left < worst.left then worst = { limit = b.rate, left = left, reset = reset } end
    end
  end
  return worst, writes
end

-- What is left of a budget that is `limit` tokens a month; -1 is no budget.
local function remainder(limit, used, held)
  if limit < 0 then return math.huge end
  return limit - used - held
end

local function reserve(K, A)
  local P, fp, rid, model = K[1], A[1], A[2], A[3]
  local prompt, n, asked, lease, gateway = tonumber(A[4]), tonumber(A[5]), tonumber(A[6]), tonumber(A[7]), A[8]
  local endpoint, streamed = A[9], A[10]
  local sec, frac = now()
  local us = sec * 1000000 + frac

  local key = redis.call('HMGET', P .. ':k:' .. fp, 'st', 'kid', 'uid', 'exp')
  local uid = key[3] or ''
  local org = redis.call('HMGET', P .. ':org', 'id', 'st', 'x:' .. uid)
  if not key[1] then
    if redis.call('HGET', P .. ':v', 'complete') == '1' then return { 'key' } end
    return { org[1] and 'not_ready' or 'unknown_org' }
  end
  if key[1] ~= 'active' then return { 'key' } end
  if key[4] and key[4] ~= '' and tonumber(key[4]) <= sec then return { 'key' } end
  if redis.call('HGET', P .. ':v', 'complete') ~= '1' or not org[1] then return { 'not_ready' } end
  if org[3] then return { 'suspended', 'user' } end
  if org[2] ~= 'active' then return { 'suspended', 'organisation' } end

  local route = redis.call('HGET', P .. ':routes', model)
  if not route then return { 'model', redis.call('HKEYS', P .. ':routes') } end

  local rk = P .. ':r:' .. rid
  local before = redis.call('HMGET', rk, 'gw', 'done', 'out', 'per', 'est')
  if before[1] and (before[1] ~= gateway or before[2]) then return { 'duplicate' } end

  local pol = redis.call('HMGET', P .. ':pol', 'tokens', 'u:' .. uid, 'udef', 'rps', 'burst', 'tpm', 'conc',
    'urps', 'uburst', 'utpm', 'uconc', 'floor', 'cap')
  if not pol[1] then return { 'not_ready' } end
  for i = 1, 13 do pol[i] = tonumber(pol[i]) end
  local user_tokens = pol[2] or pol[3]
  if before[1] then
    return { 'ok', org[1], uid, key[2], route, before[4], before[3], before[5], '-1', '-1', '0', '-1', '-1', '0' }
  end

  local live = redis.call('ZCARD', P .. ':resv')
  if pol[7] >= 0 and live >= pol[7] then return { 'rate', 'concurrency', 'organisation', int(pol[7]), '0', '1000', '1000' } end
  if pol[11] >= 0 and tonumber(redis.call('HGET', P .. ':live', uid) or 0) >= pol[11] then
    return { 'rate', 'concurrency', 'user', int(pol[11]), '0', '1000', '1000' }
  end

  -- Where no output limit was asked for, the model's cap is; the remainder may clamp either down to the floor.
  local info = cjson.decode(route)
  local cap = info.max_output_tokens or 1024
  if pol[13] and pol[13] >= 0 and pol[13] < cap then cap = pol[13] end
  local out = asked > 0 and asked or math.max(1, math.min(cap, (info.context_length or 8192) - 1))
  if asked < 0 then out = 0 end
  for _, rate in ipairs({ pol[6], pol[10] }) do
    if rate >= 0 and prompt + n * out > rate then
      out = math.floor((rate - prompt) / n)
      if asked < 0 or out < 1 then return { 'too_large', int(rate), int(prompt) } end
    end
  end
  local per = period_of(sec)
  local bk = P .. ':bud:' .. per
  local bud = redis.call('HMGET', bk, 'used', 'resv', 'u:' .. uid, 'r:' .. uid, 'base')
  for i = 1, 4 do bud[i] = tonumber(bud[i] or 0) end
  local left, scope = remainder(pol[1], bud[1], bud[2]), 'organisation'
  local limit, used, held = pol[1], bud[1], bud[2]
  local user_left = remainder(user_tokens, bud[3], bud[4])
  if user_left < left then left, scope, limit, used, held = user_left, 'user', user_tokens, bud[3], bud[4] end
  if prompt + n * out > left then
    local clamped = math.floor((left - prompt) / n)
    if asked < 0 or clamped < math.max(1, math.min(pol[12] or 1, out)) then
      return { 'budget', scope, int(limit), int(used), int(held), per, int(sec) }
    end
    out = clamped
  end
  local est = prompt + n * out

  local g = redis.call('HMGET', P .. ':g', 'r', 'r:' .. uid, 't', 't:' .. uid)
  local requests, rw = buckets(P, us, 'requests', 1,
    { scope = 'organisation', rate = pol[4], per_s = pol[4], burst = pol[5], tat = g[1], field = 'r' },
    { scope = 'user', rate = pol[8], per_s = pol[8], burst = pol[9], tat = g[2], field = 'r:' .. uid })
  if not requests then return rw end
  local tokens, tw = buckets(P, us, 'tokens', est,
    { scope = 'organisation', rate = pol[6], per_s = pol[6] / 60, burst = pol[6], tat = g[3], field = 't' },
    { scope = 'user', rate = pol[10], per_s = pol[10] / 60, burst = pol[10], tat = g[4], field = 't:' .. uid })
  if not tokens then return tw end

  for i = 1, #tw do rw[#rw + 1] = tw[i] end
  if #rw > 0 then redis.call('HSET', P .. ':g', unpack(rw)) end
  if not bud[5] then redis.call('HSET', bk, 'base', 0) end
  redis.call('HINCRBY', bk, 'resv', int(est))
  redis.call('HINCRBY', bk, 'r:' .. uid, int(est))
  redis.call('HSET', rk, 'est', int(est), 'per', per, 'uid', uid, 'kid', key[2], 'fp', fp, 'gw', gateway, 'out', int(out),
    'm', model, 'mid', info.model_id, 'ep', endpoint, 's', streamed, 't0', int(us), 'pt', '0', 'ct', '0', 'ca', '0')
  redis.call('ZADD', P .. ':resv', int(sec + lease), rid)
  redis.call('HINCRBY', P .. ':live', uid, 1)
  return { 'ok', org[1], uid, key[2], route, per, int(out), int(est),
    int(requests.limit), int(requests.left), int(math.ceil(requests.reset / 1000)),
    int(tokens.limit), int(tokens.left), int(math.ceil(tokens.reset / 1000)) }
end

-- Extends leases and stores tokens so far. Answers Redis's time, the first outbox entry that is still there, and, as
-- request-reason pairs, what the gateway must cut.
local function tick(K, A)
  local P, lease = K[1], tonumber(A[1])
  local sec = now()
  local org = redis.call('HGET', P .. ':org', 'st')
  local first = redis.call('XRANGE', P .. ':out', '-', '+', 'COUNT', 1)
  local answer = { int(sec), first[1] and first[1][1] or '' }
  for i = 2, #A, 4 do
    local rid = A[i]
    local rk = P .. ':r:' .. rid
    local r = redis.call('HMGET', rk, 'est', 'done', 'fp', 'uid')
    local reason
    if r[2] then reason = 'swept'
    elseif not r[1] then reason = 'unknown'
    else
      redis.call('HSET', rk, 'pt', A[i + 1], 'ct', A[i + 2], 'ca', A[i + 3])
      redis.call('ZADD', P .. ':resv', int(sec + lease), rid)
      if redis.call('HGET', P .. ':k:' .. r[3], 'st') ~= 'active' then reason = 'revoked'
      elseif org and org ~= 'active' then reason = 'suspended'
      elseif redis.call('HEXISTS', P .. ':org', 'x:' .. r[4]) == 1 then reason = 'suspended' end
    end
    if reason then
      answer[#answer + 1] = rid
      answer[#answer + 1] = reason
    end
  end
  return answer
end

-- Tokens that were held for the rate but not used go back into the buckets.
local function refund(P, uid, unused)
  if unused <= 0 then return end
  local rates = redis.call('HMGET', P .. ':pol', 'tpm', 'utpm')
  local g = redis.call('HMGET', P .. ':g', 't', 't:' .. uid)
  for i, field in ipairs({ 't', 't:' .. uid }) do
    local rate = tonumber(rates[i] or -1)
    if rate > 0 and g[i] then redis.call('HSET', P .. ':g', field, int(tonumber(g[i]) - unused * 60000000 / rate)) end
  end
end

local function release(P, r, uid, actual)
  local bk = P .. ':bud:' .. r.per
  redis.call('HINCRBY', bk, 'resv', '-' .. r.est)
  redis.call('HINCRBY', bk, 'r:' .. uid, '-' .. r.est)
  redis.call('HINCRBY', P .. ':live', uid, -1)
  refund(P, uid, tonumber(r.est) - actual)
end

-- The first writer wins; a later different truth becomes an adjustment line; what Redis lost is accounted all the same.
-- Answers whether a line was made or was there `already`, its number, and its entry in the outbox.
local function settle_one(P, s)
  local sec, frac = now()
  local rk = P .. ':r:' .. s.rid
  local v = redis.call('HMGET', rk, 'est', 'per', 'uid', 'done', 'spt', 'sct', 'sca', 'line', 'entry')
  local r = { est = v[1], per = v[2] }
  local uid, per, line = v[3] or s.uid, v[2] or s.per, 1
  local pt, ct, ca = s.pt, s.ct, s.ca
  if v[4] then
    pt, ct, ca = pt - tonumber(v[5]), ct - tonumber(v[6]), ca - tonumber(v[7])
    if s.outcome == 'gateway_lost' or (pt == 0 and ct == 0 and ca == 0) then return { 'already', v[8], v[9] or '' } end
    line = tonumber(v[8]) + 1
  elseif r.est then
    release(P, r, uid, pt + ct)
  elseif s.outcome == 'gateway_lost' then
    redis.call('ZREM', P .. ':resv', s.rid)
    return { 'gone' }
  end
  local bk = P .. ':bud:' .. per
  redis.call('HINCRBY', bk, 'used', int(pt + ct))
  redis.call('HINCRBY', bk, 'u:' .. uid, int(pt + ct))
  redis.call('ZREM', P .. ':resv', s.rid)
  redis.call('HDEL', rk, 'est', 'pt', 'ct', 'ca', 'fp', 'out')
  local id = redis.call('XADD', P .. ':out', '*', 'r', s.rid, 'l', int(line), 'p', per, 'pt', int(pt), 'ct', int(ct),
    'ca', int(ca), 'o', s.outcome, 'e', s.estimated, 'b', s.lower_bound, 't', int(sec * 1000 + math.floor(frac / 1000)), 'f', s.facts)
  redis.call('HSET', rk, 'per', per, 'uid', uid, 'gw', s.gw, 'done', 1,
    'spt', int(s.pt), 'sct', int(s.ct), 'sca', int(s.ca), 'line', int(line), 'entry', id)
  redis.call('EXPIRE', rk, TOMBSTONE_S)
  return { 'ok', int(line), id }
end

local function settle(K, A)
  return settle_one(K[1], { rid = A[1], pt = tonumber(A[2]), ct = tonumber(A[3]), ca = tonumber(A[4]), outcome = A[5],
    estimated = A[6], lower_bound = '0', facts = A[7], uid = A[8], per = A[9], gw = A[10] })
end

-- Settles requests whose lease has lapsed from their last checkpoint. Answers how many.
local function sweep(K, A)
  local P = K[1]
  local sec = now()
  local done = 0
  for _, rid in ipairs(redis.call('ZRANGEBYSCORE', P .. ':resv', '-inf', int(sec), 'LIMIT', 0, tonumber(A[1]))) do
    local v = redis.call('HMGET', P .. ':r:' .. rid, 'pt', 'ct', 'ca', 'uid', 'kid', 'gw', 'm', 'mid', 'ep', 's', 't0')
    local facts = cjson.encode({ organisation = redis.call('HGET', P .. ':org', 'id') or '', user = v[4] or '', key = v[5] or '',
      gateway = v[6] or '', model = v[7] or '', model_id = v[8] or '', endpoint = v[9] or '', streamed = v[10] == '1',
      started_at = tonumber(v[11] or 0) / 1000000 })
    settle_one(P, { rid = rid, pt = tonumber(v[1] or 0), ct = tonumber(v[2] or 0), ca = tonumber(v[3] or 0),
      outcome = 'gateway_lost', estimated = '0', lower_bound = '1', facts = facts, uid = '', per = '', gw = v[6] or '' })
    done = done + 1
  end
  return done
end

-- A key record goes in only where it is newer than what is there. Answers whether it went in.
local function put_key(P, fp, version, fields)
  local k = P .. ':k:' .. fp
  if tonumber(redis.call('HGET', k, 'v') or 0) >= tonumber(version) then return 0 end
  redis.call('DEL', k)
  redis.call('HSET', k, 'v', version, unpack(fields))
  return 1
end

local function grant(K, A)
  return put_key(K[1], A[1], A[2], { 'st', 'active', 'kid', A[3], 'uid', A[4], 'exp', A[5] })
end

local function revoke(K, A)
  return put_key(K[1], A[1], A[2], { 'st', 'revoked', 'kid', A[3], 'uid', A[4], 'exp', '' })
end

-- Replaces a section (org, pol, routes) where the version is newer. Answers whether it did.
local function project(K, A)
  local P, section, version = K[1], A[1], A[2]
  if tonumber(redis.call('HGET', P .. ':v', section) or 0) >= tonumber(version) then return 0 end
  redis.call('HSET', P .. ':v', section, version)
  redis.call('DEL', P .. ':' .. section)
  for i = 3, #A, 2 do redis.call('HSET', P .. ':' .. section, A[i], A[i + 1]) end
  return 1
end

-- Puts the ledger's sums under a month that has no base, once; what was settled meanwhile is kept. A month that began
-- under a complete projection has base 0 from its first reservation.
local function restore(K, A)
  local bk = K[1] .. ':bud:' .. A[1]
  if redis.call('HSETNX', bk, 'base', A[2]) == 0 then return 0 end
  redis.call('HINCRBY', bk, 'used', A[2])
  for i = 3, #A, 2 do redis.call('HINCRBY', bk, 'u:' .. A[i], A[i + 1]) end
  return 1
end

local function complete(K)
  redis.call('HSET', K[1] .. ':v', 'complete', 1)
  return 1
end

-- What is used and held this month, and the limits it counts against; for pages, the API and /v1/usage/limits.
local function standing(K, A)
  local P, uid = K[1], A[1]
  local sec = now()
  local per = period_of(sec)
  local bud = redis.call('HMGET', P .. ':bud:' .. per, 'used', 'resv', 'u:' .. uid, 'r:' .. uid)
  local pol = redis.call('HMGET', P .. ':pol', 'tokens', 'u:' .. uid, 'udef')
  return { per, int(sec), bud[1] or '0', bud[2] or '0', bud[3] or '0', bud[4] or '0', pol[1] or '', pol[2] or pol[3] or '' }
end

-- The checks of key, user and organisation that admission makes, for what only reads. Answers the user and the
-- organisation, or why not.
local function known(P, fp, sec)
  local key = redis.call('HMGET', P .. ':k:' .. fp, 'st', 'exp', 'uid')
  local ready = redis.call('HGET', P .. ':v', 'complete') == '1'
  local org = redis.call('HMGET', P .. ':org', 'id', 'st', 'x:' .. (key[3] or ''))
  if not key[1] then return nil, { ready and 'key' or (org[1] and 'not_ready' or 'unknown_org') } end
  if key[1] ~= 'active' or (key[2] ~= '' and tonumber(key[2]) <= sec) then return nil, { 'key' } end
  if not ready or not org[1] then return nil, { 'not_ready' } end
  if org[3] then return nil, { 'suspended', 'user' } end
  if org[2] ~= 'active' then return nil, { 'suspended', 'organisation' } end
  return key[3], org[1]
end

-- The models that a key may call, for /v1/models.
local function models(K, A)
  local uid, org = known(K[1], A[1], (now()))
  if not uid then return org end
  return { 'ok', org, redis.call('HVALS', K[1] .. ':routes') }
end

-- Every limit that applies to a key, for /v1/usage/limits: kind, scope, limit, used, held, ms until it is whole again
-- (0 for a budget: it resets with the month).
local function limits(K, A)
  local P = K[1]
  local sec, frac = now()
  local us = sec * 1000000 + frac
  local uid, org = known(P, A[1], sec)
  if not uid then return org end
  local pol = redis.call('HMGET', P .. ':pol', 'tokens', 'u:' .. uid, 'udef', 'rps', 'burst', 'tpm', 'conc',
    'urps', 'uburst', 'utpm', 'uconc')
  if not pol[1] then return { 'not_ready' } end
  for i = 1, 11 do pol[i] = tonumber(pol[i]) end
  local per = period_of(sec)
  local bud = redis.call('HMGET', P .. ':bud:' .. per, 'used', 'resv', 'u:' .. uid, 'r:' .. uid)
  local g = redis.call('HMGET', P .. ':g', 'r', 'r:' .. uid, 't', 't:' .. uid)
  local answer = { 'ok', per, int(sec) }
  local function add(kind, scope, limit, used, held, reset)
    for _, part in ipairs({ kind, scope, int(limit), int(used), int(held), int(reset) }) do answer[#answer + 1] = part end
  end
  local function bucket(kind, scope, rate, per_s, burst, tat)
    if rate < 0 then return add(kind, scope, -1, 0, 0, 0) end
    local full = math.max(0, (tonumber(tat) or 0) - us)
    add(kind, scope, rate, math.min(burst, math.ceil(full * per_s / 1000000)), 0, math.ceil(full / 1000))
  end
  add('budget', 'organisation', pol[1], tonumber(bud[1] or 0), tonumber(bud[2] or 0), 0)
  add('budget', 'user', pol[2] or pol[3], tonumber(bud[3] or 0), tonumber(bud[4] or 0), 0)
  bucket('requests', 'organisation', pol[4], pol[4], pol[5], g[1])
  bucket('requests', 'user', pol[8], pol[8], pol[9], g[2])
  bucket('tokens', 'organisation', pol[6], pol[6] / 60, pol[6], g[3])
  bucket('tokens', 'user', pol[10], pol[10] / 60, pol[10], g[4])
  add('concurrency', 'organisation', pol[7], redis.call('ZCARD', P .. ':resv'), 0, 0)
  add('concurrency', 'user', pol[11], tonumber(redis.call('HGET', P .. ':live', uid) or 0), 0, 0)
  return answer
end

redis.register_function('ias_reserve', reserve)
redis.register_function('ias_tick', tick)
redis.register_function('ias_settle', settle)
redis.register_function('ias_sweep', sweep)
redis.register_function('ias_grant', grant)
redis.register_function('ias_revoke', revoke)
redis.register_function('ias_project', project)
redis.register_function('ias_restore', restore)
redis.register_function('ias_complete', complete)
redis.register_function { function_name = 'ias_standing', callback = standing, flags = { 'no-writes' } }
redis.register_function { function_name = 'ias_models', callback = models, flags = { 'no-writes' } }
redis.register_function { function_name = 'ias_limits', callback = limits, flags = { 'no-writes' } }
redis.register_function { function_name = 'ias_version', callback = function() return '@VERSION@' end, flags = { 'no-writes' } }
