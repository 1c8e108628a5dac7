#!/bin/sh
# Starts Redis with the users of redis-users.acl. Passwords are read from files and kept as SHA-256 only, in
# memory; the server itself becomes the first process, which Docker tells to stop.
set -eu
umask 077
secrets=${REDIS_SECRETS:-/run/secrets} rules=${REDIS_RULES:-/etc/mpesa-balance} made=${REDIS_MADE:-/run/redis}

for user in webhooks house caller; do
  password="$secrets/redis_${user}_password"
  # The sum of nothing would let in whoever has no password.
  [ -s "$password" ] || { echo "$password is missing or empty: make it with ops/new_secrets.py" >&2; exit 78; }
  sum=$(tr -d '\n' < "$password" | sha256sum)
  echo "s/{$user}/${sum%% *}/"
done > "$made/sums.sed"

# One line for each user, without comments.
awk '/^#/ || !NF { next } /^user/ && n++ { print "" } { printf "%s ", $0 } END { print "" }' \
  "$rules/redis-users.acl" | sed -f "$made/sums.sed" > "$made/users.acl"

exec redis-server "$rules/redis.conf" --aclfile "$made/users.acl"
