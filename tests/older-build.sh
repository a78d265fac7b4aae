#!/bin/sh
# Builds the program of an older commit: tests/older-build.sh COMMIT FOLDER makes FOLDER/debug/antiphon.
set -eu
commit=$1
mkdir -p "$2"
target=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
if [ "$(cat "$target/commit" 2>/dev/null)" = "$commit" ] && [ -x "$target/debug/antiphon" ]; then
	exit 0
fi
sources=$(mktemp -d)
trap 'git worktree remove --force "$sources/older"; rm -rf "$sources"' EXIT
git worktree add --quiet --detach "$sources/older" "$commit"
(cd "$sources/older" && CARGO_TARGET_DIR="$target" "${CARGO:-cargo}" build --locked)
echo "$commit" > "$target/commit"
