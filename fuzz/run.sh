#!/bin/sh
# Runs fuzz targets, each for a short time: fuzz/run.sh SECONDS [TARGET…]
#
# With a nightly compiler, memory errors are found too; with a stable one, panics, broken laws, and what is too slow or
# too large. What is found is kept in fuzz/artifacts.
set -eu
cd "$(dirname "$0")"

all=$(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | tail -n +2)

refuse() {
    echo "fuzz/run.sh: $1; call fuzz/run.sh SECONDS [TARGET…], or make fuzz SECONDS=60 TARGETS=\"ogg ebml\"" >&2
    echo "targets:" $all >&2
    exit 2
}

seconds=${1-}
[ $# -eq 0 ] || shift
case $seconds in
'' | *[!0-9]* | 0*) refuse "SECONDS is a whole number from 1 on, and not \"$seconds\"" ;;
esac
[ $# -gt 0 ] || set -- $all
for target in "$@"; do
    case " $(echo $all) " in
    *" $target "*) ;;
    *) refuse "there is no target \"$target\"" ;;
    esac
done

cargo fuzz --version >/dev/null 2>&1 || cargo install --locked --quiet cargo-fuzz

sanitizer=none
if rustc +nightly --version >/dev/null 2>&1; then
    sanitizer=address
fi

run() {
    if [ "$sanitizer" = address ]; then
        cargo +nightly fuzz "$@"
    else
        command=$1
        shift
        RUSTC_BOOTSTRAP=1 cargo fuzz "$command" --sanitizer none "$@"
    fi
}

run build
for target in "$@"; do
    echo "== $target, for $seconds s" >&2
    # Grown here; the few seeds that are committed are the second folder.
    mkdir -p "grown/$target" "corpus/$target"
    run run "$target" "grown/$target" "corpus/$target" -- \
        "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=32768 -print_final_stats=0
done
