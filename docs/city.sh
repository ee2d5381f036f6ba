# To be sourced:  . docs/city.sh
# Shell functions for the five doors of the README. Everything they make lies in ./data.

PATH="$PWD/.venv/bin:$PATH"
export WALLET_STORE=data/wallet WALLET_PASSPHRASE_FILE=data/passphrase

start_city() { # a sandbox city in data/town, in the background, until stop_city
    mkdir -p data
    rm -f data/town.json
    atorga town --json --data data/town "$@" > data/town.json &
    while [ ! -s data/town.json ]; do
        kill -0 $! || return 1
        sleep 0.2
    done
}

stop_city() { # as Ctrl-C would; nothing is lost, start_city opens the same city again
    kill "$(city pid)"
}

city() { # city NAME: an address, a file or a key of the running city
    field "$1" < data/town.json
}

field() { # … | field NAME: one member of the JSON object that stands in the last line
    python -c 'import json, sys; print(json.loads(sys.stdin.read().splitlines()[-1])[sys.argv[1]])' "$1"
}

post() { # post SERVICE PATH JSON: asks a helper that only a sandbox city has, prints what it answers
    python - "$(city "$1")/$2" "$(city admin_token)" "$3" <<'ASK'
import sys, urllib.request

address, token, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
with ask(urllib.request.Request(address, body.encode(), headers)) as answer:
    print(answer.read().decode())
ASK
}
