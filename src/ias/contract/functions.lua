#!lua name=ias
-- Admission and accounting of one organisation, atomic. Every call names one key, {o:<tag>}; all others share its slot.
--
--   {o:T}:k:<sha256>    hash    a key: v st kid uid exp
--   {o:T}:v             hash    version of each projected section, `complete`, and `stamp`, new with each projection
--   {o:T}:org           hash    id st, x:<user> for each suspended user
--   {o:T}:pol           hash    limits: tokens udef u:<user> rps burst tpm conc urps uburst utpm uconc floor; -1 is "none"
--   {o:T}:routes        hash    public model name -> route (JSON)
--   {o:T}:bud:<YYYYMM>  hash    used resv, and u:<user> r:<user> of each user
--   {o:T}:resv          zset    request -> lease deadline, Unix seconds
--   {o:T}:r:<request>   string  reservation, then tombstone for 48 h (MessagePack, see OPEN and DONE)
--   {o:T}:g             hash    theoretical arrival times (GCRA), microseconds: r r:<user> t t:<user>; l:<user> under way
--   {o:T}:out           stream  outbox
--
-- Numbers are integers (exact below 2^53). Time and month are this server's, in UTC.
-- A call into Redis costs more than what is computed here: each function makes as few as it can.

local TOMBSTONE_S = 172800
local MAX_REMEMBERED = 1000
local NO_TOKENS = -2

-- A reservation is an array: the first 8 change or decide, the others are for the line of a lost gateway.
local OPEN = { est = 1, per = 2, uid = 3, gw = 4, out = 5, pt = 6, ct = 7, ca = 8, kid = 9, fp = 10, model = 11, mid = 12,
  ep = 13, streamed = 14, t0 = 15 }
-- A tombstone begins with false where a reservation has its tokens; spt, sct, sca are what was settled.
local DONE = { per = 2, uid = 3, gw = 4, spt = 5, sct = 6, sca = 7, line = 8, entry = 9 }

local function int(x) return string.format('%.0f', x) end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]), tonumber(t[2])
end

local today = { day = -1, period = '' }

-- Civil date from days, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function period_of(sec)
  local day = math.floor(sec / 86400)
  if today.day == day then return today.period end
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp + (mp < 10 and 3 or -9)
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  today = { day = day, period = string.format('%04d%02d', year, month) }
  return today.period
end

-- What was read of organisations' projections, by their key and stamp. It spares each admission four reads and the
-- decoding of its route; a projection has another stamp, and a Redis that lost its data has none.
local remembered, count = {}, 0

local POLICY = { 'tokens', 'udef', 'rps', 'burst', 'tpm', 'conc', 'urps', 'uburst', 'utpm', 'uconc', 'floor', 'cap' }

local function read_projection(P, stamp)
  local org = redis.call('HMGET', P .. ':org', 'id', 'st')
  local pol = redis.call('HMGET', P .. ':pol', unpack(POLICY))
  if not org[1] or not pol[1] then return nil end
  local read = { stamp = stamp, id = org[1], st = org[2], models = {}, routes = {} }
  local there = 0
  for i, name in ipairs(POLICY) do
    if pol[i] then there = there + 1 end
    read[name] = tonumber(pol[i]) or -1
  end
  read.has_suspended = redis.call('HLEN', P .. ':org') > 2
  read.has_own_budgets = redis.call('HLEN', P .. ':pol') > there
  local routes = redis.call('HGETALL', P .. ':routes')
  for i = 1, #routes, 2 do
    local info = cjson.decode(routes[i + 1])
    read.models[#read.models + 1] = routes[i]
    read.routes[routes[i]] = { json = routes[i + 1], model_id = info.model_id, cap = info.max_output_tokens or 1024,
      context = info.context_length or 8192, image_tokens = info.image_tokens or 0 }
  end
  return read
end

-- The organisation's projection; nil and why where it is not whole.
local function projection(P)
  local v = redis.call('HMGET', P .. ':v', 'complete', 'stamp')
  if v[1] ~= '1' or not v[2] then return nil, redis.call('EXISTS', P .. ':org') == 1 and 'not_ready' or 'unknown_org' end
  local read = remembered[P]
  if read and read.stamp == v[2] then return read end
  local fresh = read_projection(P, v[2])
  if not fresh then return nil, 'not_ready' end
  if not read then
    if count >= MAX_REMEMBERED then remembered, count = {}, 0 end
    count = count + 1
  end
  remembered[P] = fresh
  return fresh
end

-- Who holds a key: the organisation's projection, the user and the key's id; nil and the refusal where it is turned away.
local function caller(P, fp, sec)
  local key = redis.call('HMGET', P .. ':k:' .. fp, 'st', 'kid', 'uid', 'exp')
  local org, why = projection(P)
  if not org then return nil, { key[1] and 'not_ready' or why } end
  if key[1] ~= 'active' or (key[4] and key[4] ~= '' and tonumber(key[4]) <= sec) then return nil, { 'key' } end
  if org.has_suspended and redis.call('HEXISTS', P .. ':org', 'x:' .. key[3]) == 1 then return nil, { 'suspended', 'user' } end
  if org.st ~= 'active' then return nil, { 'suspended', 'organisation' } end
  return org, key[3], key[2]
end

-- A user's tokens a month; -1 is no budget of their own.
local function user_budget(P, org, uid)
  local own = org.has_own_budgets and redis.call('HGET', P .. ':pol', 'u:' .. uid)
  return own and tonumber(own) or org.udef
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
local function buckets(us, kind, cost, org, user)
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

local NO_LIMIT = { limit = -1, left = -1, reset = 0 }

-- Takes a request and `est` tokens out of the buckets. Answers what headers tell and what is to be written, or the refusal.
local function take(us, org, uid, est, g)
  if org.rps < 0 and org.urps < 0 and org.tpm < 0 and org.utpm < 0 then return NO_LIMIT, NO_LIMIT, {} end
  local requests, rw = buckets(us, 'requests', 1,
    { scope = 'organisation', rate = org.rps, per_s = org.rps, burst = org.burst, tat = g[1], field = 'r' },
    { scope = 'user', rate = org.urps, per_s = org.urps, burst = org.uburst, tat = g[2], field = 'r:' .. uid })
  if not requests then return nil, rw end
  local tokens, tw = buckets(us, 'tokens', est,
    { scope = 'organisation', rate = org.tpm, per_s = org.tpm / 60, burst = org.tpm, tat = g[3], field = 't' },
    { scope = 'user', rate = org.utpm, per_s = org.utpm / 60, burst = org.utpm, tat = g[4], field = 't:' .. uid })
  if not tokens then return nil, tw end
  for i = 1, #tw do rw[#rw + 1] = tw[i] end
  return requests, tokens, rw
end

-- The output limit that a request may have by the route and the tokens of a minute; nil and the refusal where none fits.
local function output(org, route, prompt, n, asked)
  -- Where no output limit was asked for, the model's cap is.
  local cap = route.cap
  if org.cap >= 0 and org.cap < cap then cap = org.cap end
  local out = asked > 0 and asked or math.max(1, math.min(cap, route.context - 1))
  if asked < 0 then out = 0 end
  for _, rate in ipairs({ org.tpm, org.utpm }) do
    if rate >= 0 and prompt + n * out > rate then
      out = math.floor((rate - prompt) / n)
      if asked < 0 or out < 1 then return nil, { 'too_large', int(rate), int(prompt) } end
    end
  end
  return out
end

local function crowded(scope, limit) return { 'rate', 'concurrency', scope, int(limit), '0', '1000', '1000' } end

local function again(org, route, uid, kid, gateway, record)
  local r = cmsgpack.unpack(record)
  if not r[OPEN.est] or r[OPEN.gw] ~= gateway then return { 'duplicate' } end
  return { 'ok', org.id, uid, kid, route.json, r[OPEN.per], r[OPEN.out], r[OPEN.est] }
end

-- What a request may have: a reservation that fits, not yet written, and the rest of the answer; or nil and the refusal.
local function fit(P, org, route, ask, uid, sec, us)
  local prompt, n, asked = ask.prompt, ask.n, ask.output
  local g = redis.call('HMGET', P .. ':g', 'r', 'r:' .. uid, 't', 't:' .. uid, 'l:' .. uid)
  local live = tonumber(g[5] or 0)
  if org.conc >= 0 and redis.call('ZCARD', P .. ':resv') >= org.conc then return nil, crowded('organisation', org.conc) end
  if org.uconc >= 0 and live >= org.uconc then return nil, crowded('user', org.uconc) end

  local out, refusal = output(org, route, prompt, n, asked)
  if not out then return nil, refusal end
  local per = period_of(sec)
  local bk = P .. ':bud:' .. per
  local bud = redis.call('HMGET', bk, 'used', 'resv', 'u:' .. uid, 'r:' .. uid, 'base')
  for i = 1, 4 do bud[i] = tonumber(bud[i] or 0) end
  local scope, limit, used, held = 'organisation', org.tokens, bud[1], bud[2]
  local left, user_tokens = remainder(limit, used, held), user_budget(P, org, uid)
  local user_left = remainder(user_tokens, bud[3], bud[4])
  if user_left < left then left, scope, limit, used, held = user_left, 'user', user_tokens, bud[3], bud[4] end
  -- The remainder may clamp the output down to the floor. What holds nothing (tokenizers) is never over a budget.
  local est = prompt + n * out
  if est > left and asked ~= NO_TOKENS then
    local clamped = math.floor((left - prompt) / n)
    if asked < 0 or clamped < math.max(1, math.min(org.floor < 0 and 1 or org.floor, out)) then
      return nil, { 'budget', scope, int(limit), int(used), int(held), per, int(sec) }
    end
    out = clamped
    est = prompt + n * out
  end

  local requests, tokens, writes = take(us, org, uid, est, g)
  if not requests then return nil, tokens end
  return { est = est, per = per, out = out, requests = requests, tokens = tokens, live = live, writes = writes, bk = bk,
    resv = bud[2] + est, of_user = bud[4] + est, base = bud[5] or 0 }
end

local function reserve(K, A)
  local P, fp, rid, model, gateway = K[1], A[1], A[2], A[3], A[8]
  local sec, frac = now()
  local us = sec * 1000000 + frac

  local org, uid, kid = caller(P, fp, sec)
  if not org then return uid end
  local route = org.routes[model]
  if not route then return { 'model', org.models } end
  local images = tonumber(A[11] or 0)
  if images > 0 and route.image_tokens == 0 then return { 'images' } end
  local ask = { prompt = tonumber(A[4]) + images * route.image_tokens, n = tonumber(A[5]), output = tonumber(A[6]) }

  local rk = P .. ':r:' .. rid
  local fits, refusal = fit(P, org, route, ask, uid, sec, us)
  local record = fits and cmsgpack.pack({ fits.est, fits.per, uid, gateway, fits.out, 0, 0, 0, kid, fp, model, route.model_id,
    A[9], A[10], us })
  if not fits or not redis.call('SET', rk, record, 'NX') then
    local before = redis.call('GET', rk)
    return before and again(org, route, uid, kid, gateway, before) or refusal
  end
  redis.call('HSET', P .. ':g', 'l:' .. uid, fits.live + 1, unpack(fits.writes))
  redis.call('HSET', fits.bk, 'resv', fits.resv, 'r:' .. uid, fits.of_user, 'base', fits.base)
  redis.call('ZADD', P .. ':resv', sec + tonumber(A[7]), rid)
  local requests, tokens = fits.requests, fits.tokens
  if requests.limit < 0 and tokens.limit < 0 then return { 'ok', org.id, uid, kid, route.json, fits.per, fits.out, fits.est } end
  return { 'ok', org.id, uid, kid, route.json, fits.per, fits.out, fits.est,
    requests.limit, requests.left, math.ceil(requests.reset / 1000), tokens.limit, tokens.left, math.ceil(tokens.reset / 1000) }
end

-- Extends leases and stores tokens so far. Answers Redis's time, the first outbox entry that is still there (or that the
-- outbox is `lost`), and, as request-reason pairs, what the gateway must cut.
local function tick(K, A)
  local P, lease = K[1], tonumber(A[1])
  local sec = now()
  local status = redis.call('HGET', P .. ':org', 'st')
  local some_suspended = redis.call('HLEN', P .. ':org') > 2
  local first = redis.call('XRANGE', P .. ':out', '-', '+', 'COUNT', 1)
  -- A stream that was read to its end is empty; one that is not there was lost.
  local none = redis.call('EXISTS', P .. ':out') == 1 and '' or 'lost'
  local answer = { sec, first[1] and first[1][1] or none }
  local keys = {}
  for i = 2, #A, 4 do
    local rid = A[i]
    local rk = P .. ':r:' .. rid
    local record = redis.call('GET', rk)
    local r = record and cmsgpack.unpack(record)
    local reason
    if not r then reason = 'unknown'
    elseif not r[OPEN.est] then reason = 'swept'
    else
      local pt, ct, ca = tonumber(A[i + 1]), tonumber(A[i + 2]), tonumber(A[i + 3])
      if pt ~= r[OPEN.pt] or ct ~= r[OPEN.ct] or ca ~= r[OPEN.ca] then
        r[OPEN.pt], r[OPEN.ct], r[OPEN.ca] = pt, ct, ca
        redis.call('SET', rk, cmsgpack.pack(r))
      end
      redis.call('ZADD', P .. ':resv', sec + lease, rid)
      local fp, uid = r[OPEN.fp], r[OPEN.uid]
      if keys[fp] == nil then keys[fp] = redis.call('HGET', P .. ':k:' .. fp, 'st') end
      if keys[fp] ~= 'active' then reason = 'revoked'
      elseif status and status ~= 'active' then reason = 'suspended'
      elseif some_suspended and redis.call('HEXISTS', P .. ':org', 'x:' .. uid) == 1 then reason = 'suspended' end
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
  local org = unused > 0 and projection(P)
  if not org or (org.tpm <= 0 and org.utpm <= 0) then return end
  local g = redis.call('HMGET', P .. ':g', 't', 't:' .. uid)
  for i, field in ipairs({ 't', 't:' .. uid }) do
    local rate = i == 1 and org.tpm or org.utpm
    if rate > 0 and g[i] then redis.call('HSET', P .. ':g', field, int(tonumber(g[i]) - unused * 60000000 / rate)) end
  end
end

-- Moves tokens of the month from held to used; `est` is 0 where nothing was held.
local function book(P, per, uid, est, actual)
  local bk = P .. ':bud:' .. per
  local bud = redis.call('HMGET', bk, 'used', 'u:' .. uid, 'resv', 'r:' .. uid)
  local used, of_user = tonumber(bud[1] or 0) + actual, tonumber(bud[2] or 0) + actual
  if est == 0 then
    redis.call('HSET', bk, 'used', used, 'u:' .. uid, of_user)
  else
    redis.call('HSET', bk, 'used', used, 'u:' .. uid, of_user, 'resv', tonumber(bud[3] or 0) - est,
      'r:' .. uid, tonumber(bud[4] or 0) - est)
  end
end

-- The first writer wins; a later different truth becomes an adjustment line; what Redis lost is accounted all the same.
-- Answers whether a line was made or was there `already`, its number, and its entry in the outbox, whose id is its time.
local function settle_one(P, s)
  local rk = P .. ':r:' .. s.rid
  local record = redis.call('GET', rk)
  local r = record and cmsgpack.unpack(record)
  local uid, per, line, est = s.uid, s.per, 1, 0
  local pt, ct, ca = s.pt, s.ct, s.ca
  if r then uid, per = r[OPEN.uid], r[OPEN.per] end
  if r and not r[OPEN.est] then
    pt, ct, ca = pt - r[DONE.spt], ct - r[DONE.sct], ca - r[DONE.sca]
    if s.outcome == 'gateway_lost' or (pt == 0 and ct == 0 and ca == 0) then return { 'already', r[DONE.line], r[DONE.entry] } end
    line = r[DONE.line] + 1
  elseif r then
    est = r[OPEN.est]
    redis.call('HINCRBY', P .. ':g', 'l:' .. uid, -1)
    refund(P, uid, est - pt - ct)
  elseif s.outcome == 'gateway_lost' then
    redis.call('ZREM', P .. ':resv', s.rid)
    return { 'gone' }
  end
  book(P, per, uid, est, pt + ct)
  redis.call('ZREM', P .. ':resv', s.rid)
  local id = redis.call('XADD', P .. ':out', '*', 'r', s.rid, 'l', line, 'p', per, 'pt', pt, 'ct', ct,
    'ca', ca, 'o', s.outcome, 'e', s.estimated, 'b', s.lower_bound, 'f', s.facts)
  redis.call('SET', rk, cmsgpack.pack({ false, per, uid, s.gw, s.pt, s.ct, s.ca, line, id }), 'EX', TOMBSTONE_S)
  return { 'ok', line, id }
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
    local record = redis.call('GET', P .. ':r:' .. rid)
    local r = record and cmsgpack.unpack(record) or {}
    if r[1] == false then r = {} end
    local facts = cjson.encode({ organisation = redis.call('HGET', P .. ':org', 'id') or '', user = r[OPEN.uid] or '',
      key = r[OPEN.kid] or '', gateway = r[OPEN.gw] or '', model = r[OPEN.model] or '', model_id = r[OPEN.mid] or '',
      endpoint = r[OPEN.ep] or '', streamed = r[OPEN.streamed] == '1', started_at = (r[OPEN.t0] or 0) / 1000000 })
    settle_one(P, { rid = rid, pt = r[OPEN.pt] or 0, ct = r[OPEN.ct] or 0, ca = r[OPEN.ca] or 0,
      outcome = 'gateway_lost', estimated = '0', lower_bound = '1', facts = facts, uid = '', per = '', gw = r[OPEN.gw] or '' })
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
  local sec, frac = now()
  redis.call('HSET', P .. ':v', section, version, 'stamp', section .. version .. '@' .. int(sec * 1000000 + frac))
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

-- The models that a key may call, for /v1/models.
local function models(K, A)
  local org, refusal = caller(K[1], A[1], (now()))
  if not org then return refusal end
  return { 'ok', org.id, redis.call('HVALS', K[1] .. ':routes') }
end

-- Every limit that applies to a key, for /v1/usage/limits: kind, scope, limit, used, held, ms until it is whole again
-- (0 for a budget: it resets with the month).
local function limits(K, A)
  local P = K[1]
  local sec, frac = now()
  local us = sec * 1000000 + frac
  local org, uid = caller(P, A[1], sec)
  if not org then return uid end
  local per = period_of(sec)
  local bud = redis.call('HMGET', P .. ':bud:' .. per, 'used', 'resv', 'u:' .. uid, 'r:' .. uid)
  local g = redis.call('HMGET', P .. ':g', 'r', 'r:' .. uid, 't', 't:' .. uid, 'l:' .. uid)
  local answer = { 'ok', per, int(sec) }
  local function add(kind, scope, limit, used, held, reset)
    for _, part in ipairs({ kind, scope, int(limit), int(used), int(held), int(reset) }) do answer[#answer + 1] = part end
  end
  local function bucket(kind, scope, rate, per_s, burst, tat)
    if rate < 0 then return add(kind, scope, -1, 0, 0, 0) end
    local full = math.max(0, (tonumber(tat) or 0) - us)
    add(kind, scope, rate, math.min(burst, math.ceil(full * per_s / 1000000)), 0, math.ceil(full / 1000))
  end
  add('budget', 'organisation', org.tokens, tonumber(bud[1] or 0), tonumber(bud[2] or 0), 0)
  add('budget', 'user', user_budget(P, org, uid), tonumber(bud[3] or 0), tonumber(bud[4] or 0), 0)
  bucket('requests', 'organisation', org.rps, org.rps, org.burst, g[1])
  bucket('requests', 'user', org.urps, org.urps, org.uburst, g[2])
  bucket('tokens', 'organisation', org.tpm, org.tpm / 60, org.tpm, g[3])
  bucket('tokens', 'user', org.utpm, org.utpm / 60, org.utpm, g[4])
  add('concurrency', 'organisation', org.conc, redis.call('ZCARD', P .. ':resv'), 0, 0)
  add('concurrency', 'user', org.uconc, tonumber(g[5] or 0), 0, 0)
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
