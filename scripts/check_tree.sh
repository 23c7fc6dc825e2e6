#!/usr/bin/env bash
# Words that must not stand in the tree, and scripts that must parse.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
forbid() { # what it is, extended regular expression, further arguments of git grep
    if git grep -nIE -e "$2" -- . ':!Cargo.lock' ':!scripts/check_tree.sh' "${@:3}"; then
        echo "check_tree: $1 must not stand in the tree" >&2
        bad=1
    fi
}
# Packages come through their ordinary clients, wherever those are configured to look.
forbid 'the host of a package registry' '(crates\.io|pypi\.org|pythonhosted\.org|npmjs\.(org|com)|static\.rust-lang\.org)'
forbid 'the path of one machine' '(^|[^A-Za-z0-9_.])/(root|work|home/[a-z]+)/'
forbid 'an unfinished change' '^(<{7}|>{7}) '

# Weights, pictures and clips of others are fetched, never committed; our own are small.
while read -r size path; do
    if [ "$size" -gt 5000000 ]; then
        echo "check_tree: $path has $size bytes; nothing above 5 MB is committed" >&2
        bad=1
    fi
done < <(git ls-files -z | xargs -0 stat -c '%s %n')

for script in .ci/run scripts/*.sh; do
    bash -n "$script" || bad=1
done
for script in scripts/*.py; do
    [ -e "$script" ] || continue
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$script" || bad=1
done
exit $bad
