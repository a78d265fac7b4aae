#!/bin/sh
# How many redirects per second a node answers, against nginx's `return 302`, in one run on this machine.
#
# Two nodes: the first takes no listeners, so that it decides and redirects for every request; the second is there to
# be redirected to. Both servers have one worker thread; wrk has one too and shares the machine with them. Needs nginx
# and wrk (apt-get install nginx-light wrk), curl, and a release build.
#
#   SECONDS_EACH=5 ROUNDS=3 benches/redirect-nginx.sh [PATH/TO/antiphon]
set -eu

antiphon=${1:-target/release/antiphon}
seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
connections=${CONNECTIONS:-32}
first=18401 second=18402 nginx=18403

for tool in nginx wrk curl "$antiphon"; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "$tool is missing" >&2
        exit 1
    }
done

home=$(mktemp -d)
pids=
stop() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$home"
}
trap stop EXIT
trap 'exit 1' INT TERM

# nginx: one worker, no logs, the same header lines as a node's answer where it has a say.
mkdir "$home/nginx"
cat > "$home/nginx.conf" <<CONF
worker_processes 1;
daemon off;
error_log $home/nginx/error.log;
pid $home/nginx/pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path $home/nginx/body;
    proxy_temp_path $home/nginx/proxy;
    fastcgi_temp_path $home/nginx/fastcgi;
    uwsgi_temp_path $home/nginx/uwsgi;
    scgi_temp_path $home/nginx/scgi;
    server {
        listen 127.0.0.1:$nginx backlog=4096;
        location / {
            add_header Cache-Control no-store always;
            add_header Access-Control-Allow-Origin * always;
            return 302 http://127.0.0.1:$second/_stream/first\$request_uri;
        }
    }
}
CONF
nginx -c "$home/nginx.conf" -p "$home/nginx" 2>"$home/nginx/start.log" &
pids="$pids $!"

# Room for everybody who is redirected and never comes: ten million places, far more than five seconds of redirects.
"$antiphon" secret generate --out "$home/secret" >/dev/null
node() {
    TOKIO_WORKER_THREADS=1 ANTIPHON_LOG=warn "$antiphon" run --name "$1" --data-dir "$home/$1" \
        --listen "127.0.0.1:$2" --public-url "http://127.0.0.1:$2" --secret-file "$home/secret" \
        --max-bandwidth 10000000G --max-listeners "$3" $4 >"$home/$1.log" 2>&1 &
    pids="$pids $!"
}
node first $first 0 ""
node second $second 10000000 "--join 127.0.0.1:$first"

tries=0
until curl -fsS -o /dev/null "http://127.0.0.1:$second/status.json" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat "$home"/*.log >&2; exit 1; }
    sleep 0.1
done
"$antiphon" mount create /radio.mp3 --password hackme --node "http://127.0.0.1:$second" --data-dir "$home/second" >/dev/null

# Noise is as good as music here: 16 kB/s of it, at the second node.
curl -sS --limit-rate 16k -T - -H 'Content-Type: audio/mpeg' -H 'Expect:' \
    "http://source:hackme@127.0.0.1:$second/radio.mp3" </dev/urandom >/dev/null 2>"$home/source.log" &
pids="$pids $!"

# Warm: the second node is new for ten seconds.
tries=0
until [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$first/radio.mp3")" = 302 ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$home"/*.log >&2; exit 1; }
    sleep 0.1
done

# Requests per second at a port, with a header; tells on stderr of answers that were no redirects.
measure() {
    wrk -t1 -c"$connections" -d"${seconds}s" -H "$2" "http://127.0.0.1:$1/radio.mp3" >"$home/wrk"
    grep -i 'Non-2xx\|Socket errors' "$home/wrk" | sed "s/^/port $1: /" >&2 || true
    awk '/Requests\/sec/ { print $2 }' "$home/wrk"
}

compare() {
    title=$1 header=$2
    round=0
    while [ $round -lt "$rounds" ]; do
        round=$((round + 1))
        ours=$(measure $first "$header")
        theirs=$(measure $nginx "$header")
        ratio=$(awk "BEGIN { printf \"%.2f\", $ours / $theirs }")
        printf '| %s | %s | %s | %s |\n' "$title" "$ours" "$theirs" "$ratio"
    done
}

echo "one worker each, $connections connections, $seconds s each, in turns"
echo "| connections | antiphon, redirects/s | nginx, redirects/s | ratio |"
echo "| --- | --- | --- | --- |"
compare "kept alive" "Connection: keep-alive"
compare "closed after each" "Connection: close"

left=$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$first/radio.mp3")
[ "$left" = 302 ] || { echo "the node answers $left at the end" >&2; exit 1; }
