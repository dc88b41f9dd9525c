# What the benches of `hello` share; source it. Starts `peapod up` with hello.yaml and sets $url.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/serve.sh"
command -v wrk >/dev/null || { echo "install wrk (apt-get install wrk)" >&2; exit 1; }
serve up --images "$root/modules/dist" --apply "$root/manifests/hello.yaml"
url=$(sed -n 's/.*curl \(http[^ ]*\).*/\1/p' "$dir/out" | head -1)
curl -s "$url" | grep -q 'request 1' || { echo "hello does not answer at $url" >&2; exit 1; }

# throughput URL: requests a second.
throughput() { wrk -t1 -c32 -d"${SECONDS_EACH:-5}"s "$1/" | awk '/Requests\/sec/ {print $2}'; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
ratio() { awk "BEGIN {printf \"%.2f\", $1/$2}"; }
