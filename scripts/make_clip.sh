#!/usr/bin/env bash
# Makes the synthetic clip of the demo: three seconds of moving line art, text and gradients, drawn on twos (every
# picture stands for two frames), with stereo sound, subtitles and two chapters.
#
#   scripts/make_clip.sh out/demo/drawn.mkv
set -euo pipefail

clip=${1:?the file to write}
font=/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A landscape by distance to its lines: fill(d) covers what lies inside, ink(d) is a line one pixel and a half wide.
# Registers of geq: 0 far hill, 1 near hill, 2 sun, 3 ball, 4 eye, 5 mouth, 6 ink of all lines.
shapes="
    st(0, 104 + 15*sin((X+36*T)/31) + 6*sin((X+36*T)/13) - Y);
    st(1, 142 + 11*sin((X+84*T)/37) - Y);
    st(2, hypot(X-252, Y-44) - 21);
    st(3, hypot(X-(48+70*T), Y-(112-58*abs(sin(3.1*T)))) - 23);
    st(4, min(hypot(X-(40+70*T), (Y-(106-58*abs(sin(3.1*T))))*0.6), hypot(X-(55+70*T), (Y-(106-58*abs(sin(3.1*T))))*0.6)) - 3);
    st(5, abs(hypot(X-(48+70*T), Y-(110-58*abs(sin(3.1*T)))) - 13) + 99*lt(Y, 115-58*abs(sin(3.1*T))));
    st(6, max(max(clip(1.3-abs(ld(0)),0,1)*gt(ld(1),0), clip(1.3-abs(ld(1)),0,1)), clip(1.3-abs(ld(2)),0,1)*gt(ld(0),0)));
    st(6, max(ld(6)*gt(ld(3),0), max(clip(1.4-abs(ld(3)),0,1), max(clip(0.5-ld(4),0,1), clip(1.2-ld(5),0,1)))));
"
# One channel, painted from back to front: sky (a gradient from top to horizon), sun, far hill, near hill, ball.
channel() { # sky top, sky bottom, sun, far hill, near hill, ball
    echo "$shapes
    st(7, $1 + ($2-($1))*clip(Y/130,0,1));
    st(7, lerp(ld(7), $3, clip(0.5-ld(2),0,1)));
    st(7, lerp(ld(7), $4 + (Y-90)*0.4, clip(0.5-ld(0),0,1)));
    st(7, lerp(ld(7), $5 - (Y-130)*0.5, clip(0.5-ld(1),0,1)));
    st(7, lerp(ld(7), $6 + 40*clip((X-(48+70*T))/-40,-1,1), clip(0.5-ld(3),0,1)));
    lerp(ld(7), 22, ld(6))" | tr -d ' \n'
}

cat >"$work/words.srt" <<'S'
1
00:00:00,200 --> 00:00:01,400
A ball sets out.

2
00:00:01,600 --> 00:00:02,800
It likes the hills.
S
cat >"$work/chapters.txt" <<'S'
;FFMETADATA1
title=A ball sets out
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1500
title=Out
[CHAPTER]
TIMEBASE=1/1000
START=1500
END=3000
title=On
S

mkdir -p "$(dirname "$clip")"
ffmpeg -nostdin -hide_banner -v error -y \
    -f lavfi -i "color=black:size=320x180:rate=12:duration=3,format=gbrp,
        geq=r='$(channel 62 250 255 96 74 214)':g='$(channel 110 214 214 132 158 120)':b='$(channel 190 190 92 150 84 92)',
        drawtext=fontfile=$font:text='kinora':fontsize=30:fontcolor=white:borderw=2:bordercolor=0x161616:x=14:y=12,
        drawtext=fontfile=$font:text='a small line of moving text':fontsize=11:fontcolor=white:x=w-70*t-150:y=h-18,
        fps=24,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p" \
    -f lavfi -i "sine=frequency=330:sample_rate=48000:duration=3" \
    -f lavfi -i "sine=frequency=440:sample_rate=48000:duration=3" \
    -i "$work/words.srt" -i "$work/chapters.txt" \
    -filter_complex '[1:a][2:a]join=inputs=2:channel_layout=stereo[sound]' \
    -map 0:v -map '[sound]' -map 3:s -map_metadata 4 -map_chapters 4 \
    -c:v libx264 -preset medium -qp 0 -g 48 \
    -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
    -c:a aac -b:a 96k -c:s srt -metadata:s:a:0 language=eng -metadata:s:s:0 language=eng \
    -fflags +bitexact -flags:v +bitexact -flags:a +bitexact \
    "$clip"
