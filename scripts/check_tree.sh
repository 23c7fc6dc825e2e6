#!/usr/bin/env bash
# Words that must not stand in the tree, pages that must be true of it, scripts that must parse.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
complain() {
    echo "check_tree: $1" >&2
    bad=1
}

forbid() { # what it is, extended regular expression
    if git grep -nIE -e "$2" -- . ':!*Cargo.lock' ':!scripts/check_tree.sh'; then
        complain "$1 must not stand in the tree"
    fi
}
# Packages come through their ordinary clients, from wherever those are set up to look.
forbid 'the host of a package registry' '(crates\.io|pypi\.org|pythonhosted\.org|npmjs\.(org|com)|static\.rust-lang\.org)'
forbid 'the path of one machine' '(^|[^A-Za-z0-9_.])/(root|work|tmp/w|home/[a-z]+)/'
forbid 'an unfinished merge' '^(<{7}|>{7}) '

# Weights, pictures and clips of others are fetched, never committed; our own are small.
while read -r size path; do
    [ "$size" -le 5000000 ] || complain "$path has $size bytes; nothing above 5 MB is committed"
done < <(git ls-files -z | xargs -0 stat -c '%s %n')

# Every file that a page names is there; the heads of code blocks name files that a recipe makes.
while read -r path; do
    [ -e "$path" ] || complain "a page names $path, which is not there"
done < <(git ls-files '*.md' ':!goldens' | xargs grep -hvE '^```' |
    grep -oE '\b(crates|scripts|docs|goldens|fuzz/fuzz_targets)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' | sort -u)

# Every dependency of the workspace has a use (that it has its line in docs/dependencies.md is a test of the command).
while read -r name; do
    git grep -qE "\b${name//-/_}(::|!| as )" -- 'crates/*.rs' || complain "nothing in the code uses $name"
done < <(sed -n '/^\[workspace.dependencies\]/,/^\[workspace.lints/p' Cargo.toml | sed -nE 's/^([a-z0-9_-]+) = .*/\1/p' |
    grep -v '^kinora-')

while read -r script; do
    bash -n "$script" || bad=1
done < <(git ls-files .ci/run '*.sh')
while read -r script; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$script" || bad=1
done < <(git ls-files '*.py')
exit $bad
