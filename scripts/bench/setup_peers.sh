#!/usr/bin/env bash
# Installs the programs that kinora is compared with into a folder of their own (about 3 GB):
#   venv/     PyTorch, ONNX Runtime, framelift-video, OpenVINO
#   vs/       VapourSynth with vs-mlrt's ONNX Runtime plug-in (Python >= 3.12; as root on Debian in a trixie chroot)
#
#   bash scripts/bench/setup_peers.sh [folder]        default $KINORA_PEERS, else .cache/peers
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=$(realpath -m "${1:-${KINORA_PEERS:-.cache/peers}}")
mkdir -p "$peers"
cd "$peers"

if [ ! -x venv/bin/framelift ]; then
    python3 -m venv venv
    venv/bin/pip install -q torch==2.15.0
    venv/bin/pip install -q framelift-video==2.1.0 openvino==2026.4.1 onnxruntime==1.32.0 numpy
fi

packages="vapoursynth==81 vapoursynth-mlrt-ort==17.1.1 vapoursynth-bestsource==22 numpy"
python=""
for name in "${PY312:-}" python3.14 python3.13 python3.12; do
    if [ -n "$name" ] && "$name" -c 'import venv' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -n "$python" ]; then
    if [ ! -x vs/bin/python ]; then
        "$python" -m venv vs
        # shellcheck disable=SC2086 # a list of packages
        vs/bin/pip install -q $packages
    fi
elif [ "$(id -u)" = 0 ] && { command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null; }; then
    root=$peers/trixie
    [ -x "$root/usr/bin/python3" ] ||
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates trixie "$root" >/dev/null
    cp /etc/resolv.conf /etc/hosts "$root/etc/" || true
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" || true
    [ -e "$root/proc/self" ] || mount -t proc proc "$root/proc" || true
    [ -e "$root/dev/urandom" ] || mount --bind /dev "$root/dev" || true
    [ -x "$root/opt/vs/bin/python" ] ||
        chroot "$root" sh -c "python3 -m venv /opt/vs && /opt/vs/bin/pip install -q $packages"
else
    echo 'no Python >= 3.12 and not root on Debian: VapourSynth is left out of the comparison' >&2
fi
echo "peers are in $peers"
