#!/usr/bin/env bash
# Enlarges a real clip and a drawn one with real weights. Results, pictures to compare and reports lie in out/demo.
#
#   KINORA=target/ci/kinora scripts/demo.sh        # `make demo` builds and fetches first
set -euo pipefail
cd "$(dirname "$0")/.."

kinora=${KINORA:-target/ci/kinora}
models=${KINORA_MODELS:-.cache/models}
out=out/demo
font=/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
mkdir -p "$out"

enlarge() { # clip, model, scale, result
    echo
    "$kinora" upscale "$1" --model "$2" --scale "$3" --output "$4" --overwrite --report "${4%.*}.json"
}

# One frame of the source, enlarged bicubic, beside the same frame of the result, both magnified for the eye.
compare() { # clip, result, frame number, scale, magnification, crop of the source w:h:x:y, words for the result
    local w h x y
    IFS=: read -r w h x y <<<"$6"
    local label="fontfile=$font:fontsize=20:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=6:x=10:y=h-34"
    local look="scale=iw*$5:ih*$5:flags=neighbor"
    ffmpeg -nostdin -hide_banner -v error -y -i "$1" -i "$2" -filter_complex "
        [0:v]select='eq(n,$3)',scale=iw*$4:ih*$4:flags=bicubic,crop=$((w * $4)):$((h * $4)):$((x * $4)):$((y * $4)),$look,
            drawtext=$label:text='source, bicubic x$4'[source];
        [1:v]select='eq(n,$3)',crop=$((w * $4)):$((h * $4)):$((x * $4)):$((y * $4)),$look,
            drawtext=$label:text='$7'[result];
        [source][result]hstack,format=rgb24" -frames:v 1 "${2%.*}.png"
}

scripts/make_clip.sh "$out/drawn.mkv"
cp "$models/clip/clip-carphone/carphone_pristine.mp4" "$out/carphone.mp4"

enlarge "$out/carphone.mp4" waifu2x-photo-x2 2 "$out/carphone.2x.mp4"
enlarge "$out/drawn.mkv" realesr-animevideov3-x4 4 "$out/drawn.4x.mkv"

compare "$out/carphone.mp4" "$out/carphone.2x.mp4" 60 2 2 176:144:0:0 'kinora, waifu2x-photo-x2'
compare "$out/drawn.mkv" "$out/drawn.4x.mkv" 30 4 2 80:84:84:14 'kinora, realesr-animevideov3-x4'

echo
for name in carphone.2x drawn.4x; do
    python3 scripts/show_report.py "$out/$name.json"
done
echo
echo "all of it took $SECONDS s"
echo "results     $out/carphone.2x.mp4, $out/drawn.4x.mkv"
echo "to compare  $out/carphone.2x.png, $out/drawn.4x.png (left the source enlarged bicubic, right kinora)"
echo "your own    KINORA_MODELS=$models $kinora upscale CLIP"
