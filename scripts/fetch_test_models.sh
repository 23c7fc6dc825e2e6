#!/usr/bin/env bash
# Fetches what tests with real weights use. What a registry does not give is said here, and its tests then fail with the
# same words; a wrong hash, a full disk or anything else ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

names=(
    onnxruntime onnxruntime-openvino ffmpeg
    span-x2 span-x4
    waifu2x-photo-x2 waifu2x-cunet-x2
    realesr-animevideov3-x2 realesr-animevideov3-x4
    realesrgan-x4plus-anime
    realcugan-se-x2 realcugan-se-x4
    multistyle26
    pictures clip-carphone clip-carphone-distorted clip-bikes clip-bigbuckbunny
)
said=$(mktemp)
refused=$(mktemp)
trap 'rm -f "$said" "$refused"' EXIT
skipped=()
for name in "${names[@]}"; do
    if ! target/ci/kinora models pull "$name" >"$said" 2>&1; then
        if grep -qE '^error\[(model\.fetch|model\.platform|tool\.missing)\]' "$said"; then
            skipped+=("$name")
            cat "$said" >>"$refused"
        else
            cat "$said" >&2
            exit 1
        fi
    fi
done
if [ ${#skipped[@]} -gt 0 ]; then
    cat "$refused" >&2
    echo "fetch-test-models: no registry gave ${skipped[*]}; tests that need them cannot pass" >&2
fi
