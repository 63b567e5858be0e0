#!/bin/sh
# Redis as docs/redis.md wants it: synced each second, nothing evicted, and two users, each with what it needs.
set -eu
umask 077
cat >/tmp/redis.conf <<CONF
# In the folder that it is started in.
dir .
bind * -::*
port ${REDIS_PORT:-6379}
protected-mode no
appendonly yes
appendfsync everysec
maxmemory ${REDIS_MAXMEMORY:-1gb}
maxmemory-policy noeviction
user default off
user health on nopass resetkeys resetchannels -@all +ping
user gateway on >${GATEWAY_PASSWORD} resetkeys ~{o:* ~ias:projection* resetchannels -@all +ping +info +asking +cluster|slots +cluster|countkeysinslot +fcall +fcall_ro +get +set +exists +time +hget +hmget +hgetall +hvals +hlen +hexists +hset +hincrby +zadd +zcard +zrem +xadd +xrange
user monolith on >${MONOLITH_PASSWORD} resetkeys ~{o:* ~ias:* resetchannels +@all -@dangerous -@admin +info +config|get +role +function +cluster|slots +cluster|countkeysinslot +asking
CONF
unset GATEWAY_PASSWORD MONOLITH_PASSWORD
exec redis-server /tmp/redis.conf
