#!lua name=ias
-- Admission and accounting of one organisation, atomic. Every call names one key, {o:<tag>}; all others share its slot.
--
--   {o:T}:k:<sha256>    hash    a key: v st kid uid exp; with rules its st is `ruled`, and it may have cap, tokens a month
--                               (-1: they are counted, and not limited yet), and m with m:<model> for each that it may call
--   {o:T}:v             hash    version of each projected section, `complete`, `stamp`, new with each projection, and
--                               `epoch`, set by the first tick: where it changes, all that was here has been lost
--   {o:T}:org           hash    id st, x:<user> for each suspended user
--   {o:T}:pol           hash    limits: tokens udef u:<user> rps burst tpm conc urps uburst utpm uconc floor cap; -1 is
--                               "none"; estimate: 1 where prompts are held as estimated, not as their upper bound
--   {o:T}:routes        hash    public model name -> route (JSON)
--   {o:T}:bud:<YYYYMM>  hash    used resv, and u:<user> r:<user> of each user, k:<key> h:<key> of each key that has a cap;
--                               full f:<user> ends: see note_end
--   {o:T}:resv          zset    request -> lease deadline, Unix seconds
--   {o:T}:r:<request>   string  reservation, then tombstone for 48 h (MessagePack, see OPEN and DONE)
--   {o:T}:g             hash    theoretical arrival times (GCRA), microseconds (see `debt`): r r:<user> t t:<user>; l:<user> under
--                               way, of those that were let in where users' concurrency is limited
--   {o:T}:out           stream  outbox
--
-- Numbers are integers (exact below 2^53). Time and month are this server's, in UTC.
-- A call into Redis costs more than what is computed here: each function makes as few as it can. Next come tables that grow
-- (made at their size they hold `nil`s first), `tonumber` of what arithmetic would make a number of, and `ipairs`: what each
-- request goes through does without.

local TOMBSTONE_S = 172800
local MAX_REMEMBERED = 1000
local NO_TOKENS = -2
-- More than all gateways together have asked about and sent on already: each process one at most.
local MANY = 100

-- A reservation is an array: the first 8 change or decide, the others are for the line of a lost gateway. Of the last, those
-- before one that is there are false: `capped` says that it is held for its key too, `uncounted` that it is not in l:<user>.
local OPEN = { est = 1, per = 2, uid = 3, gw = 4, out = 5, pt = 6, ct = 7, ca = 8, kid = 9, fp = 10, model = 11, mid = 12,
  ep = 13, streamed = 14, t0 = 15, slots = 16, capped = 17, uncounted = 18 }
-- A tombstone begins with false where a reservation has its tokens; spt, sct, sca are what was settled.
local DONE = { per = 2, uid = 3, gw = 4, spt = 5, sct = 6, sca = 7, line = 8, entry = 9, t0 = 10 }

local function int(x) return string.format('%d', x) end

-- The parts of a MessagePack array, one by one: the table that `unpack` alone makes of it grows part by part, at their cost.
-- Where to begin is told, for a copy without the array's head would cost as much as reading it; how many, more than any has.
local function without_first(_, ...) return ... end
local function parts(packed) return without_first(cmsgpack.unpack_limit(packed, 99, packed:byte() == 0xdc and 3 or 1)) end

local function now()
  local t = redis.call('TIME')
  return t[1] + 0, t[2] + 0
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

local POLICY = { 'tokens', 'udef', 'rps', 'burst', 'tpm', 'conc', 'urps', 'uburst', 'utpm', 'uconc', 'floor', 'cap',
  'estimate' }

local SECOND, MINUTE = 1000000, 60000000

-- What may be limited by rate: requests and tokens, of the organisation and of each user.
local RATES = {
  { kind = 'requests', scope = 'organisation', field = 'r', rate = 'rps', size = 'burst', period = SECOND },
  { kind = 'requests', scope = 'user', field = 'r:', rate = 'urps', size = 'uburst', period = SECOND },
  { kind = 'tokens', scope = 'organisation', field = 't', rate = 'tpm', size = 'tpm', period = MINUTE },
  { kind = 'tokens', scope = 'user', field = 't:', rate = 'utpm', size = 'utpm', period = MINUTE },
}

-- A bucket for each that is: it lets in `rate` a period and `size` at once.
local function buckets(policy)
  local all = {}
  for place, of in ipairs(RATES) do
    local rate = policy[of.rate]
    if rate >= 0 then
      all[#all + 1] = { place = place, kind = of.kind, scope = of.scope, field = of.field, period = of.period, rate = rate,
        size = rate == 0 and 0 or math.max(1, policy[of.size]) }
    end
  end
  return all
end

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
  read.buckets, read.minute = buckets(read), {}
  for _, b in ipairs(read.buckets) do
    if b.kind == 'tokens' then read.minute[#read.minute + 1] = b.rate end
  end
  read.rated = #read.buckets > 0
  local routes = redis.call('HGETALL', P .. ':routes')
  for i = 1, #routes, 2 do
    local info = cjson.decode(routes[i + 1])
    local cap, context = info.max_output_tokens or 1024, info.context_length or 8192
    if read.cap >= 0 and read.cap < cap then cap = read.cap end
    read.models[#read.models + 1] = routes[i]
    -- Where no output limit was asked for, the model's cap is: the usual one.
    read.routes[routes[i]] = { json = routes[i + 1], model_id = info.model_id, usual = math.max(1, math.min(cap, context - 1)),
      context = context, image_tokens = info.image_tokens or 0, overhead = info.prompt_overhead or 0 }
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

-- What a key may do, where that is not all that its holder may: its cap and the models, false where there is no such rule.
local function rules_of(P, fp)
  local rules = redis.call('HGETALL', P .. ':k:' .. fp)
  local models, cap, listed = {}, false, false
  for i = 1, #rules, 2 do
    if rules[i] == 'cap' then cap = tonumber(rules[i + 1])
    elseif rules[i] == 'm' then listed = true
    elseif rules[i]:sub(1, 2) == 'm:' then models[rules[i]:sub(3)] = true end
  end
  return { cap = cap, models = listed and models }
end

-- Who holds a key: the organisation's projection, the user, the key's id and its rules if it has any; nil and the refusal
-- where it is turned away.
local function caller(P, fp, sec)
  local key = redis.call('HMGET', P .. ':k:' .. fp, 'st', 'kid', 'uid', 'exp')
  local org, why = projection(P)
  if not org then return nil, { key[1] and 'not_ready' or why } end
  local ruled = key[1] == 'ruled'
  if (key[1] ~= 'active' and not ruled) or (key[4] and key[4] ~= '' and tonumber(key[4]) <= sec) then
    return nil, { 'key' }
  end
  if org.has_suspended and redis.call('HEXISTS', P .. ':org', 'x:' .. key[3]) == 1 then return nil, { 'suspended', 'user' } end
  if org.st ~= 'active' then return nil, { 'suspended', 'organisation' } end
  return org, key[3], key[2], ruled and rules_of(P, fp) or nil
end

-- The names of the models that a key may call.
local function callable(org, rules)
  if not rules or not rules.models then return org.models end
  local names = {}
  for _, name in ipairs(org.models) do
    if rules.models[name] then names[#names + 1] = name end
  end
  return names
end

-- A user's tokens a month; -1 is no budget of their own.
local function user_budget(P, org, uid)
  local own = org.has_own_budgets and redis.call('HGET', P .. ':pol', 'u:' .. uid)
  return own and tonumber(own) or org.udef
end

-- Generic cell rate algorithm (ITU-T I.371) in whole numbers: what a bucket holds is counted in units times the µs of its
-- period, so that a seventh of a second is no fraction. An arrival time is in µs and, behind a colon, has what is left over.
local function debt(arrival, us, rate)
  if not arrival then return 0 end
  local whole, rest = arrival:match('^(%d+):?(%d*)')
  if whole + 0 < us then return 0 end
  return (whole - us) * rate + math.min(rest == '' and 0 or rest + 0, rate)
end

local function arrival(held, us, rate)
  local whole = math.floor(held / rate)
  local rest = math.max(0, held - whole * rate)
  return rest == 0 and us + whole or string.format('%d:%d', us + whole, rest)
end

-- What is read of a user: the buckets that they take from, and who is under way of them where that is limited.
local function fields_of(org, uid)
  local fields, all = { nil, nil, nil, nil, nil }, org.buckets
  for i = 1, #all do
    local b = all[i]
    fields[i] = b.scope == 'user' and b.field .. uid or b.field
  end
  if org.uconc >= 0 then fields[#all + 1] = 'l:' .. uid end
  return fields
end

-- What is left in a bucket that holds so much, and ms until it is full: never more, never sooner than is true.
local function room(b, held)
  if b.rate == 0 then return 0, MINUTE / 1000 end
  return math.max(0, b.size - math.ceil(held / b.period)), math.ceil(held / b.rate / 1000)
end

-- What headers tell, of requests and of tokens: the size of the narrower bucket, what is left, ms until it is full.
local function tell(org, held)
  local told, all = { -1, -1, 0, -1, -1, 0 }, org.buckets
  for i = 1, #all do
    local b = all[i]
    local at, left, reset = b.kind == 'tokens' and 4 or 1, room(b, held[i])
    local least = told[at + 1]
    if least < 0 or left < least or (left == least and reset > told[at + 2]) then
      told[at], told[at + 1], told[at + 2] = b.size, left, reset
    end
  end
  return told
end

-- What is left of a budget that is `limit` tokens a month; -1 is no budget.
local function remainder(limit, used, held)
  if limit < 0 then return math.huge end
  return limit - used - held
end

local UNLIMITED, UNTOLD = { writes = {} }, { -1, -1, 0, -1, -1, 0 }

-- Takes requests and `est` tokens out of the buckets, whose arrival times are `g`: what is to be written into their fields,
-- what headers tell, and the tokens' slots (rate and end of each), which a refund goes by. Or nil and the refusal of the
-- bucket that makes the caller wait longest.
local function take(us, org, fields, est, g, requests)
  if not org.rated then return UNLIMITED end
  local all, held, after, last, longest = org.buckets, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, nil, 0
  for i = 1, #all do
    local b = all[i]
    local cost, wait = b.kind == 'tokens' and est or requests, 0
    held[i] = debt(g[i], us, b.rate)
    after[i] = held[i] + cost * b.period
    if cost > 0 then wait = b.rate == 0 and MINUTE or math.ceil((after[i] - b.size * b.period) / b.rate) end
    if wait > longest then last, longest = b, wait end
  end
  if last then
    return nil, { 'rate', last.kind, last.scope, last.rate, math.ceil(longest / 1000), unpack(tell(org, held)) }
  end
  local writes, slots = { nil, nil, nil, nil, nil, nil, nil, nil }, nil
  for i = 1, #all do
    local b = all[i]
    if after[i] > held[i] then
      local n = #writes
      writes[n + 1], writes[n + 2] = fields[i], arrival(after[i], us, b.rate)
      if b.kind == 'tokens' then
        slots = slots or { 0, 0, 0, 0 }
        slots[2 * b.place - 5], slots[2 * b.place - 4] = b.rate, us + math.ceil(after[i] / b.rate)
      end
    end
  end
  return { writes = writes, told = tell(org, after), slots = slots }
end

-- The output limit that a request may have by the route and the tokens of a minute; nil and the refusal where none fits.
local function output(org, route, prompt, n, asked)
  local out = asked > 0 and asked or route.usual
  if asked < 0 then out = 0 end
  local limits = org.minute
  for i = 1, #limits do
    local rate = limits[i]
    if prompt + n * math.min(out, route.context) > rate then
      out = math.floor((rate - prompt) / n)
      if asked < 0 or out < 1 then return nil, { 'too_large', int(rate), int(prompt) } end
    end
  end
  return out
end

local function crowded(scope, limit) return { 'rate', 'concurrency', scope, limit, 1000, -1, -1, 0, -1, -1, 0 } end

local function again(org, route, uid, kid, gateway, record)
  local r = { parts(record) }
  if not r[OPEN.est] or r[OPEN.gw] ~= gateway then return { 'duplicate' } end
  return { 'ok', org.id, uid, kid, route.json, r[OPEN.per], r[OPEN.out], r[OPEN.est] }
end

-- Notes, once for each amount, that a budget is used up: what is left is too little even with nothing else under way.
-- `full` is that amount of the organisation's budget, f:<user> of a user's, and `ends` how often this was noted.
local function note_end(bk, field, limit, left, least)
  if left >= least or tonumber(redis.call('HGET', bk, field) or -1) == limit then return end
  redis.call('HSET', bk, field, int(limit))
  redis.call('HINCRBY', bk, 'ends', 1)
end

-- Whether an exact count of the prompt may help where its upper bound does not fit: few tokens are longer than 64 bytes.
local function countable(ask, left)
  return ask.guess and left >= ask.prompt / 64 + (ask.output < 0 and 0 or ask.n)
end

-- What is written into a month that nobody has counted in yet.
local OPENING, NONE = { 'base', 0 }, {}

-- The fields of what a key has used and holds of a month; none where nothing counts for it.
local function fields_of_key(kid) return kid and { 'k:' .. kid, 'h:' .. kid } or NONE end

-- Whether all that limits a caller has room for many more like this request: then the gateway may have begun with the next
-- one when it hears of it. It decides nothing: each is looked at when it comes.
local function ample(org, left, est, running, live, told)
  return left >= MANY * est and (org.conc < 0 or org.conc - running >= MANY) and (org.uconc < 0 or org.uconc - live >= MANY)
    and (not told or ((told[1] < 0 or told[2] >= MANY) and (told[4] < 0 or told[5] >= MANY * est)))
end

-- What a request may have: a reservation that fits, not yet written, and the rest of the answer; or nil and the refusal.
-- `who` is the user, the key and the key's cap, false where it has none.
local function fit(P, org, route, ask, who, sec, us)
  local uid, cap = who.uid, who.cap
  local prompt, n, asked = ask.prompt, ask.n, ask.output
  if org.estimate == 1 and ask.guess and ask.guess < prompt then prompt = ask.guess end
  local fields, g, live
  if org.rated or org.uconc >= 0 then
    fields = fields_of(org, uid)
    g = redis.call('HMGET', P .. ':g', unpack(fields))
    live = (g[#org.buckets + 1] or 0) + 0
  end
  local running = org.conc >= 0 and redis.call('ZCARD', P .. ':resv')
  if running and running >= org.conc then return nil, crowded('organisation', org.conc) end
  if org.uconc >= 0 and live >= org.uconc then return nil, crowded('user', org.uconc) end

  local out, refusal = output(org, route, prompt, n, asked)
  if not out then return nil, refusal end
  local per = period_of(sec)
  local bk = P .. ':bud:' .. per
  local of_key = fields_of_key(cap and who.kid)
  local bud = redis.call('HMGET', bk, 'base', 'used', 'resv', 'u:' .. uid, 'r:' .. uid, unpack(of_key))
  for i = 2, cap and 7 or 5 do bud[i] = (bud[i] or 0) + 0 end
  local scope, limit, used, held = 'organisation', org.tokens, bud[2], bud[3]
  local left, user_tokens = remainder(limit, used, held), user_budget(P, org, uid)
  local user_left = remainder(user_tokens, bud[4], bud[5])
  if user_left < left then left, scope, limit, used, held = user_left, 'user', user_tokens, bud[4], bud[5] end
  local key_left = cap and remainder(cap, bud[6], bud[7]) or math.huge
  if key_left < left then left, scope, limit, used, held = key_left, 'key', cap, bud[6], bud[7] end
  -- The remainder may clamp the output down to the floor. What holds nothing (tokenizers) is never over a budget.
  -- No engine writes more than its context, whatever was asked for.
  local est = prompt + n * math.min(out, route.context)
  if est > left and asked ~= NO_TOKENS then
    if countable(ask, left) then
      -- Counting is the engine's work: it is a request already, and is not taken again for the same one.
      local counted, early = take(us, org, fields, 0, g, 1)
      if counted and #counted.writes > 0 then redis.call('HSET', P .. ':g', unpack(counted.writes)) end
      return nil, counted and { 'near', route.json } or early
    end
    local clamped = math.floor((left - prompt) / n)
    local least = asked < 0 and 0 or math.max(1, math.min(org.floor < 0 and 1 or org.floor, out))
    if asked < 0 or clamped < least then
      local of_user = scope == 'user'
      if scope ~= 'key' then
        note_end(bk, of_user and 'f:' .. uid or 'full', limit, limit - used, prompt + n * least)
      end
      return nil, { 'budget', scope, int(limit), int(used), int(held), per, int(sec) }
    end
    out = clamped
    est = prompt + n * out
  end

  local taken, late = take(us, org, fields, est, g, ask.counted and 0 or 1)
  if not taken then return nil, late end
  local more = bud[1] and NONE or OPENING
  if cap then more = { of_key[1], bud[6], of_key[2], bud[7] + est, unpack(more) } end
  return { est = est, risk = ask.prompt - prompt, per = per, out = out, taken = taken, live = live, bk = bk,
    resv = bud[3] + est, of_user = bud[5] + est, more = more,
    usual = ask.early and ample(org, left, est, running, live, taken.told) and route.usual or nil }
end

-- The prompt is an upper bound. With a guess at it the answer may be `near`: the bound does not fit in the budget, so
-- that the prompt should be counted and asked for again, without a guess (`c` says that it was). `lease` is in seconds.
-- Where the gateway says `early`, the answer ends with the usual output limit if all limits are ample.
local function reserve(P, fp, rid, model, prompt, n, output, lease, gateway, endpoint, streamed, images, guess, prompts, early)
  local sec, frac = now()
  local us = sec * 1000000 + frac

  local org, uid, kid, rules = caller(P, fp, sec)
  if not org then return uid end
  local route = org.routes[model]
  if not route or (rules and rules.models and not rules.models[model]) then return { 'model', callable(org, rules) } end
  images = (images or 0) + 0
  if images > 0 and route.image_tokens == 0 then return { 'images' } end
  local ask = { prompt = prompt + 0, n = n + 0, output = output + 0, guess = tonumber(guess), counted = guess == 'c',
    early = early }
  local more = images * route.image_tokens + (prompts or 1) * route.overhead
  if more > 0 and ask.output ~= NO_TOKENS then
    ask.prompt = ask.prompt + more
    if ask.guess then ask.guess = ask.guess + more end
  end

  local rk = P .. ':r:' .. rid
  local fits, refusal = fit(P, org, route, ask, { uid = uid, kid = kid, cap = rules and rules.cap }, sec, us)
  local capped, uncounted = rules and rules.cap and 1 or nil, org.uconc < 0 and 1 or nil
  local record = fits and cmsgpack.pack({ fits.est, fits.per, uid, gateway, fits.out, 0, 0, 0, kid, fp, model, route.model_id,
    endpoint, streamed, us, fits.taken.slots or ((capped or uncounted) and false), capped or (uncounted and false), uncounted })
  if not fits or not redis.call('SET', rk, record, 'NX') then
    local before = redis.call('GET', rk)
    return before and again(org, route, uid, kid, gateway, before) or refusal
  end
  local taken = fits.taken
  if not uncounted then
    redis.call('HSET', P .. ':g', 'l:' .. uid, fits.live + 1, unpack(taken.writes))
  elseif #taken.writes > 0 then
    redis.call('HSET', P .. ':g', unpack(taken.writes))
  end
  redis.call('HSET', fits.bk, 'resv', fits.resv, 'r:' .. uid, fits.of_user, unpack(fits.more))
  redis.call('ZADD', P .. ':resv', sec + lease, rid)
  if not taken.told and fits.risk == 0 then
    return { 'ok', org.id, uid, kid, route.json, fits.per, fits.out, fits.est, fits.usual }
  end
  local a, b, c, d, e, f = unpack(taken.told or UNTOLD)
  return { 'ok', org.id, uid, kid, route.json, fits.per, fits.out, fits.est, a, b, c, d, e, f, fits.risk, fits.usual }
end

-- The name of what this server holds of the organisation, as Unix microseconds: whoever loses all of it gets another.
local function epoch(P, sec, frac)
  local known = redis.call('HGET', P .. ':v', 'epoch')
  if known then return known end
  local new = int(sec * 1000000 + frac)
  redis.call('HSET', P .. ':v', 'epoch', new)
  return new
end

-- Extends leases and stores tokens so far. Answers Redis's time, the first outbox entry that is still there (or that the
-- outbox is `lost`), the epoch, and, as request-reason pairs, what the gateway must cut, or assert again (`unknown`).
local function tick(K, A)
  local P, lease = K[1], tonumber(A[1])
  local sec, frac = now()
  local status = redis.call('HGET', P .. ':org', 'st')
  local some_suspended = redis.call('HLEN', P .. ':org') > 2
  local first = redis.call('XRANGE', P .. ':out', '-', '+', 'COUNT', 1)
  -- A stream that was read to its end is empty; one that is not there was lost.
  local entry = first[1] and first[1][1] or (redis.call('EXISTS', P .. ':out') == 1 and '' or 'lost')
  local answer = { sec, entry, epoch(P, sec, frac) }
  local keys = {}
  for i = 2, #A, 4 do
    local rid = A[i]
    local rk = P .. ':r:' .. rid
    local record = redis.call('GET', rk)
    local r = record and { parts(record) }
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
      -- A key that is not there was taken away only where the projection is whole: after a loss it is still to come.
      local known = keys[fp]
      if known ~= 'active' and known ~= 'ruled' and (known or redis.call('HGET', P .. ':v', 'complete') == '1') then
        reason = 'revoked'
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

-- Puts back the reservation of a request under way that Redis has lost. What is known of it here, a reservation or its
-- tombstone, stays as it is. It had been admitted: no limit is asked again, and from now on it counts against them all,
-- a user's concurrency too: whether that is limited is still to come after a loss.
local function reassert(K, A)
  local P, rid, est, per, uid = K[1], A[1], tonumber(A[3]), A[4], A[5]
  local bk = P .. ':bud:' .. per
  local capped = redis.call('HEXISTS', bk, 'k:' .. A[11]) == 1 and 1 or nil
  local record = cmsgpack.pack({ est, per, uid, A[6], tonumber(A[7]), tonumber(A[8]), tonumber(A[9]), tonumber(A[10]), A[11],
    A[12], A[13], A[14], A[15], A[16], tonumber(A[17]), capped and false, capped })
  if not redis.call('SET', P .. ':r:' .. rid, record, 'NX') then return 0 end
  redis.call('HINCRBY', bk, 'resv', est)
  redis.call('HINCRBY', bk, 'r:' .. uid, est)
  if capped then redis.call('HINCRBY', bk, 'h:' .. A[11], est) end
  redis.call('HINCRBY', P .. ':g', 'l:' .. uid, 1)
  redis.call('ZADD', P .. ':resv', (now()) + tonumber(A[2]), rid)
  return 1
end

-- One request of a user less is under way, if it was counted. Tokens that were held for the rate but not used go back into
-- the buckets, by the rates that they were taken at: as far as their slots have not passed, for time has given back the
-- others. What was used beyond is taken too.
local function leave(P, uid, unused, slots, counted)
  if not slots or unused == 0 then
    if counted then redis.call('HINCRBY', P .. ':g', 'l:' .. uid, -1) end
    return
  end
  local sec, frac = now()
  local us = sec * 1000000 + frac
  local fields, writes = { 't', 't:' .. uid, counted and 'l:' .. uid or nil }, { nil, nil, nil, nil, nil, nil }
  local g = redis.call('HMGET', P .. ':g', unpack(fields))
  if counted then writes[1], writes[2] = fields[3], (g[3] or 0) - 1 end
  for i = 1, 2 do
    local rate, ends = slots[2 * i - 1], slots[2 * i]
    if rate > 0 then
      local back = math.min(unused * MINUTE, math.max(0, ends - us) * rate)
      local n = #writes
      writes[n + 1], writes[n + 2] = fields[i], arrival(math.max(0, debt(g[i], us, rate) - back), us, rate)
    end
  end
  redis.call('HSET', P .. ':g', unpack(writes))
end

-- Moves tokens of the month from held to used; `est` is 0 where nothing was held, `kid` a key that something is held for too.
local function book(bk, uid, kid, est, actual)
  local of_user, for_user, of_key = 'u:' .. uid, 'r:' .. uid, fields_of_key(kid)
  local bud = redis.call('HMGET', bk, 'used', of_user, 'resv', for_user, unpack(of_key))
  local used, used_by = (bud[1] or 0) + actual, (bud[2] or 0) + actual
  local own = kid and { of_key[1], (bud[5] or 0) + actual, of_key[2], (bud[6] or 0) - est } or NONE
  if est == 0 then
    redis.call('HSET', bk, 'used', used, of_user, used_by, unpack(own))
  else
    redis.call('HSET', bk, 'used', used, of_user, used_by, 'resv', (bud[3] or 0) - est, for_user, (bud[4] or 0) - est,
      unpack(own))
  end
end

-- What is settled where nothing is held any more: it counts for a key that is counted.
local function book_late(bk, facts, actual)
  local kid = facts:match('"key":"([^"]*)"')
  if kid and redis.call('HEXISTS', bk, 'k:' .. kid) == 1 then redis.call('HINCRBY', bk, 'k:' .. kid, actual) end
end

-- The first writer wins; a later different truth becomes an adjustment line; what Redis lost is accounted all the same.
-- Answers whether a line was made or was there `already`, its number, and its entry in the outbox, whose id is its time.
local function settle_one(P, s)
  local rk = P .. ':r:' .. s.rid
  local record = redis.call('GET', rk)
  local r = record and { parts(record) }
  local uid, per, line, est, t0 = s.uid, s.per, 1, 0, 0
  local pt, ct, ca = s.pt, s.ct, s.ca
  if r then uid, per, t0 = r[OPEN.uid], r[OPEN.per], (r[OPEN.est] and r[OPEN.t0] or r[DONE.t0]) or 0 end
  if r and not r[OPEN.est] then
    pt, ct, ca = pt - r[DONE.spt], ct - r[DONE.sct], ca - r[DONE.sca]
    if s.outcome == 'gateway_lost' or (pt == 0 and ct == 0 and ca == 0) then
      -- Whatever brought it back among those under way: it is over.
      redis.call('ZREM', P .. ':resv', s.rid)
      return { 'already', r[DONE.line], r[DONE.entry] }
    end
    line = r[DONE.line] + 1
  elseif r then
    est = r[OPEN.est]
    leave(P, uid, est - pt - ct, r[OPEN.slots], not r[OPEN.uncounted])
  elseif s.outcome == 'gateway_lost' then
    redis.call('ZREM', P .. ':resv', s.rid)
    return { 'gone' }
  end
  local bk = P .. ':bud:' .. per
  book(bk, uid, r and r[OPEN.capped] and r[OPEN.kid], est, pt + ct)
  if not r or not r[OPEN.est] then book_late(bk, s.facts, pt + ct) end
  redis.call('ZREM', P .. ':resv', s.rid)
  local id = redis.call('XADD', P .. ':out', '*', 'r', s.rid, 'l', line, 'p', per, 'pt', pt, 'ct', ct,
    'ca', ca, 'o', s.outcome, 'e', s.estimated, 'b', s.lower_bound, 't', t0, 'f', s.facts)
  redis.call('SET', rk, cmsgpack.pack({ false, per, uid, s.gw, s.pt, s.ct, s.ca, line, id, t0 }), 'EX', TOMBSTONE_S)
  return { 'ok', line, id }
end

local function settle(P, facts, uid, per, gateway, rid, pt, ct, ca, outcome, estimated)
  return settle_one(P, { rid = rid, pt = pt + 0, ct = ct + 0, ca = ca + 0, outcome = outcome, estimated = estimated,
    lower_bound = '0', facts = facts, uid = uid, per = per, gw = gateway })
end

-- What gateways call: told in one MessagePack array. A form has a name of its own, so that a library which does not know it
-- says so; gateways of the release before, and their spool files, give the array's parts one by one.
local function reserve_packed(K, A) return reserve(K[1], parts(A[1])) end
local function settle_packed(K, A) return settle(K[1], A[2], A[3], A[4], A[5], parts(A[1])) end
local function reserve_unpacked(K, A) return reserve(K[1], unpack(A)) end
local function settle_unpacked(K, A) return settle(K[1], A[7], A[8], A[9], A[10], unpack(A, 1, 6)) end

-- Settles requests whose lease has lapsed from their last checkpoint. Answers how many. Where the organisation is not
-- projected (again), nobody can be charged yet.
local function sweep(K, A)
  local P = K[1]
  local sec = now()
  local done, organisation = 0, redis.call('HGET', P .. ':org', 'id')
  if not organisation then return 0 end
  for _, rid in ipairs(redis.call('ZRANGEBYSCORE', P .. ':resv', '-inf', int(sec), 'LIMIT', 0, tonumber(A[1]))) do
    local record = redis.call('GET', P .. ':r:' .. rid)
    local r = record and { parts(record) } or {}
    if r[1] == false then r = {} end
    local facts = cjson.encode({ organisation = organisation, user = r[OPEN.uid] or '',
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

-- From A[6] on there are the fields of its rules, if it has any.
local function grant(K, A)
  return put_key(K[1], A[1], A[2], { 'st', A[6] and 'ruled' or 'active', 'kid', A[3], 'uid', A[4], 'exp', A[5], unpack(A, 6) })
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

-- From now on these keys (a set) are counted in a month: what is under way of them is held for them too.
local function count_from_now(P, per, kids)
  local held = {}
  for _, rid in ipairs(redis.call('ZRANGE', P .. ':resv', 0, -1)) do
    local record = redis.call('GET', P .. ':r:' .. rid)
    local r = record and { parts(record) }
    if r and r[OPEN.est] and r[OPEN.per] == per and kids[r[OPEN.kid]] then
      held[r[OPEN.kid]] = (held[r[OPEN.kid]] or 0) + r[OPEN.est]
      if not r[OPEN.capped] then
        r[OPEN.slots], r[OPEN.capped] = r[OPEN.slots] or false, 1
        redis.call('SET', P .. ':r:' .. rid, cmsgpack.pack(r))
      end
    end
  end
  for kid in pairs(kids) do redis.call('HSET', P .. ':bud:' .. per, 'h:' .. kid, held[kid] or 0) end
end

-- Says what of a month is used, once, where nobody has said it since Redis lost it: `used` (A[3]) and the parts of users
-- (u:…) and of keys that have a cap (k:…), as summed up from the ledger and the outbox while Redis said A[2]. Answers -1
-- where Redis says something else by now: sum up again. A month that began under a complete projection has base 0 from
-- its first reservation.
local function restore(K, A)
  local bk = K[1] .. ':bud:' .. A[1]
  local bud = redis.call('HMGET', bk, 'base', 'used')
  if bud[1] then return 0 end
  if tonumber(bud[2] or 0) ~= tonumber(A[2]) then return -1 end
  redis.call('HSET', bk, 'base', A[3], 'used', A[3])
  local kids = {}
  for i = 4, #A, 2 do
    redis.call('HSET', bk, A[i], A[i + 1])
    if A[i]:sub(1, 2) == 'k:' then kids[A[i]:sub(3)] = true end
  end
  if next(kids) then count_from_now(K[1], A[1], kids) end
  return 1
end

-- Where nothing is projected (any more), nothing is complete.
local function complete(K)
  if redis.call('HEXISTS', K[1] .. ':v', 'stamp') == 0 then return 0 end
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
  local org, refusal, _, rules = caller(K[1], A[1], (now()))
  if not org then return refusal end
  local routes = {}
  for i, name in ipairs(callable(org, rules)) do routes[i] = org.routes[name].json end
  return { 'ok', org.id, routes }
end

-- Every limit that applies to a key, for /v1/usage/limits: kind, scope, limit, used, held, ms until it is whole again
-- (0 for a budget: it resets with the month), and what comes back each second or minute. Time is in ms.
local function limits(K, A)
  local P = K[1]
  local sec, frac = now()
  local us = sec * 1000000 + frac
  local org, uid, kid, rules = caller(P, A[1], sec)
  if not org then return uid end
  local per = period_of(sec)
  local bk = P .. ':bud:' .. per
  local cap = rules and rules.cap
  local bud = redis.call('HMGET', bk, 'used', 'resv', 'u:' .. uid, 'r:' .. uid, unpack(fields_of_key(cap and kid)))
  local counted = org.uconc >= 0
  local g = (org.rated or counted) and redis.call('HMGET', P .. ':g', unpack(fields_of(org, uid)))
  local answer = { 'ok', per, int(math.ceil(us / 1000)) }
  local function add(...)
    for _, part in ipairs({ ... }) do answer[#answer + 1] = type(part) == 'number' and int(part) or part end
  end
  add('budget', 'organisation', org.tokens, tonumber(bud[1] or 0), tonumber(bud[2] or 0), 0, -1)
  add('budget', 'user', user_budget(P, org, uid), tonumber(bud[3] or 0), tonumber(bud[4] or 0), 0, -1)
  if cap and cap >= 0 then add('budget', 'key', cap, tonumber(bud[5] or 0), tonumber(bud[6] or 0), 0, -1) end
  local i = 1
  for place, of in ipairs(RATES) do
    local b = org.buckets[i]
    if b and b.place == place then
      local left, reset = room(b, debt(g[i], us, b.rate))
      i = i + 1
      add(b.kind, b.scope, b.size, b.size - left, 0, reset, b.rate)
    else
      add(of.kind, of.scope, -1, 0, 0, 0, -1)
    end
  end
  add('concurrency', 'organisation', org.conc, redis.call('ZCARD', P .. ':resv'), 0, 0, -1)
  add('concurrency', 'user', org.uconc, counted and tonumber(g[#org.buckets + 1] or 0) or 0, 0, 0, -1)
  return answer
end

redis.register_function('ias_reserve', reserve_unpacked)
redis.register_function('ias_reserve_packed', reserve_packed)
redis.register_function('ias_tick', tick)
redis.register_function('ias_reassert', reassert)
redis.register_function('ias_settle', settle_unpacked)
redis.register_function('ias_settle_packed', settle_packed)
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
-- The oldest and the newest form of calls that are understood; see contract/forms.py.
redis.register_function { function_name = 'ias_forms', callback = function() return { 1, 1 } end, flags = { 'no-writes' } }

-- Comparing with the ledger, and what operators are told.

local function month_before(per)
  local year, month = tonumber(per:sub(1, 4)), tonumber(per:sub(5, 6))
  if month == 1 then return string.format('%04d12', year - 1) end
  return string.format('%04d%02d', year, month - 1)
end

-- Changes whenever a month's counting begins anew: Redis was emptied, the month restored, or repaired.
local function fence(P, per)
  local month = redis.call('HMGET', P .. ':bud:' .. per, 'base', 'fixed')
  return (redis.call('HGET', P .. ':v', 'stamp') or '') .. '|' .. (month[1] or '') .. '|' .. (month[2] or '')
end

-- What is counted, and the outbox's last entry by then. Answers whether the projection is complete, the entry, and of
-- this month and the last: name, fence, hash.
local function books(K)
  local P = K[1]
  local last = redis.call('XREVRANGE', P .. ':out', '+', '-', 'COUNT', 1)
  local answer = { redis.call('HGET', P .. ':v', 'complete') or '', last[1] and last[1][1] or '' }
  local this = period_of((now()))
  for _, per in ipairs({ this, month_before(this) }) do
    answer[#answer + 1] = per
    answer[#answer + 1] = fence(P, per)
    answer[#answer + 1] = redis.call('HGETALL', P .. ':bud:' .. per)
  end
  return answer
end

-- Adds differences to what a month counts, unless counting began anew since the books were read; settlements meanwhile
-- change both sides alike. Answers whether it did.
local function repair(K, A)
  local P, per = K[1], A[1]
  if fence(P, per) ~= A[2] then return 0 end
  local bk = P .. ':bud:' .. per
  for i = 3, #A, 2 do redis.call('HINCRBY', bk, A[i], A[i + 1]) end
  redis.call('HINCRBY', bk, 'fixed', 1)
  redis.call('HSETNX', bk, 'base', 0)
  return 1
end

-- Tokens and requests that the live reservations hold: by month, and under way where they were counted.
local function held_by_reservations(P)
  local months, live = {}, {}
  for _, rid in ipairs(redis.call('ZRANGE', P .. ':resv', 0, -1)) do
    local record = redis.call('GET', P .. ':r:' .. rid)
    local r = record and { parts(record) }
    if r and r[OPEN.est] then
      local per, uid, est = r[OPEN.per], r[OPEN.uid], r[OPEN.est]
      local month = months[per] or {}
      months[per] = month
      month['resv'] = (month['resv'] or 0) + est
      month['r:' .. uid] = (month['r:' .. uid] or 0) + est
      if r[OPEN.capped] then
        local of_key = 'h:' .. r[OPEN.kid]
        month[of_key] = (month[of_key] or 0) + est
      end
      if not r[OPEN.uncounted] then live['l:' .. uid] = (live['l:' .. uid] or 0) + 1 end
    end
  end
  return months, live
end

-- Makes the fields of a hash that begin with one of these what they should be.
local function correct(key, name, prefixes, truth, found)
  local there = redis.call('HGETALL', key)
  local was = {}
  for i = 1, #there, 2 do
    local field = there[i]
    if prefixes[field:sub(1, 2)] then
      was[field] = tonumber(there[i + 1]) or 0
      truth[field] = truth[field] or 0
    end
  end
  for field, is in pairs(truth) do
    if is ~= (was[field] or 0) then
      redis.call('HSET', key, field, is)
      for _, part in ipairs({ name, field, int(was[field] or 0), int(is) }) do found[#found + 1] = part end
    end
  end
end

-- What begins the names of counts that the live reservations make up: of `resv`, of users and keys; of who is under way.
local HELD, LIVE = { re = true, ['r:'] = true, ['h:'] = true }, { ['l:'] = true }

-- Makes what is held what the live reservations say. Answers where, field, was and is of each that was not.
local function recount(K)
  local P = K[1]
  local months, live = held_by_reservations(P)
  local this = period_of((now()))
  for _, per in ipairs({ this, month_before(this) }) do months[per] = months[per] or {} end
  local found = {}
  for per, truth in pairs(months) do correct(P .. ':bud:' .. per, per, HELD, truth, found) end
  correct(P .. ':g', 'live', LIVE, live, found)
  return found
end

-- The first entry that the group has not acknowledged or was never given.
local function unrelayed(out, group, first)
  local pending = redis.pcall('XPENDING', out, group)
  if pending.err or not first[1] then return first[1] and first[1][1] or '' end
  local oldest = pending[2] or nil
  for _, one in ipairs(redis.call('XINFO', 'GROUPS', out)) do
    local about = {}
    for i = 1, #one, 2 do about[one[i]] = one[i + 1] end
    if about['name'] == group and not oldest then
      local next_one = redis.call('XRANGE', out, '(' .. about['last-delivered-id'], '+', 'COUNT', 1)
      oldest = next_one[1] and next_one[1][1]
    end
  end
  return oldest or ''
end

-- How an organisation stands: whether its projection is complete, Redis's time, length and first entry of its outbox, its
-- first unrelayed entry, live reservations, those whose lease has lapsed, first and last deadline, and who holds the last.
local function vitals(K, A)
  local P, group = K[1], A[1]
  local sec = now()
  local out, leases = P .. ':out', P .. ':resv'
  local first = redis.call('XRANGE', out, '-', '+', 'COUNT', 1)
  local earliest, latest = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES'), redis.call('ZRANGE', leases, -1, -1, 'WITHSCORES')
  local record = latest[1] and redis.call('GET', P .. ':r:' .. latest[1])
  local r = record and { parts(record) } or {}
  return { redis.call('HGET', P .. ':v', 'complete') or '', int(sec), redis.call('XLEN', out), first[1] and first[1][1] or '',
    unrelayed(out, group, first), redis.call('ZCARD', leases), redis.call('ZCOUNT', leases, '-inf', sec),
    earliest[2] or '', latest[2] or '', r[OPEN.gw] or '' }
end

-- From now on these keys (fingerprint and id of each) are counted this month; their records say so, though no cap yet.
-- Answers the month, its fence, the outbox's last entry by then, and what is counted of each; nothing where the projection
-- is not complete, for then the month is yet to be restored.
local function count(K, A)
  local P = K[1]
  if redis.call('HGET', P .. ':v', 'complete') ~= '1' then return {} end
  local per = period_of((now()))
  local bk, kids, ids = P .. ':bud:' .. per, {}, {}
  for i = 1, #A, 2 do
    local k, kid = P .. ':k:' .. A[i], A[i + 1]
    local record = redis.call('HMGET', k, 'st', 'cap')
    if (record[1] == 'active' or record[1] == 'ruled') and not record[2] then
      redis.call('HSET', k, 'st', 'ruled', 'cap', -1)
    end
    redis.call('HSETNX', bk, 'k:' .. kid, 0)
    kids[kid], ids[#ids + 1] = true, kid
  end
  count_from_now(P, per, kids)
  local last = redis.call('XREVRANGE', P .. ':out', '+', '-', 'COUNT', 1)
  local answer = { per, fence(P, per), last[1] and last[1][1] or '' }
  for _, kid in ipairs(ids) do answer[#answer + 1] = redis.call('HGET', bk, 'k:' .. kid) end
  return answer
end

redis.register_function('ias_count', count)
redis.register_function { function_name = 'ias_books', callback = books, flags = { 'no-writes' } }
redis.register_function { function_name = 'ias_repair', callback = repair, flags = { 'allow-oom' } }
redis.register_function { function_name = 'ias_recount', callback = recount, flags = { 'allow-oom' } }
redis.register_function { function_name = 'ias_vitals', callback = vitals, flags = { 'no-writes' } }

-- Records of many keys in one call, as MessagePack: fingerprint, state, id, user and expiry of each; and the fields of the
-- rules of those that are ruled, by fingerprint. Answers how many went in. See put_key.
local function grants(K, A)
  local P, version, many, put = K[1], tonumber(A[1]), cmsgpack.unpack(A[2]), 0
  local rules = A[3] and cmsgpack.unpack(A[3]) or {}
  for i = 1, #many, 5 do
    local k = P .. ':k:' .. many[i]
    local before = redis.call('HGET', k, 'v')
    if not before or tonumber(before) < version then
      if before then redis.call('DEL', k) end
      redis.call('HSET', k, 'v', A[1], 'st', many[i + 1], 'kid', many[i + 2], 'uid', many[i + 3], 'exp', many[i + 4])
      if many[i + 1] == 'ruled' then redis.call('HSET', k, unpack(rules[many[i]])) end
      put = put + 1
    end
  end
  return put
end

redis.register_function('ias_grants', grants)
