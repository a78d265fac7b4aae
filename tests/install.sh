# Sourced by the scripts that install programs for tests. They set `tools`, the commands and files that must be there,
# `packages_of`, the Debian packages of one of them, and `purpose`, who needs them.

missing() {
    for tool in $tools; do
        command -v "$tool" >/dev/null 2>&1 || [ -e "$tool" ] || printf '%s ' "$tool"
    done
}

packages() {
    for tool in $(missing); do
        packages_of "$tool"
    done
}

give_up() {
    echo "$purpose need $(missing)and $1" >&2
    if [ "${ANTIPHON_SKIP_MISSING:-}" = 1 ]; then
        echo "ANTIPHON_SKIP_MISSING=1: the tests that need them will be skipped" >&2
        exit 0
    fi
    echo "install them by hand, or set ANTIPHON_SKIP_MISSING=1 to skip the tests that need them" >&2
    exit 1
}

# Installs what is missing, or says why it cannot and ends.
install_missing() {
    [ -n "$(missing)" ] || return 0
    command -v apt-get >/dev/null 2>&1 || give_up "there is no apt-get here to install them with"

    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || give_up "neither root nor sudo is here to install them"
        as_root=sudo
    fi

    # A package must not start a daemon on the machine of somebody who only wanted to run tests.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null || give_up "root is refused"
        $as_root chmod 755 "$policy"
    fi

    echo "installing $(missing)" >&2
    # shellcheck disable=SC2046 # each package is a word
    {
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends $(packages) >/dev/null
    } || give_up "apt-get could not install them"
    [ -z "$(missing)" ] || give_up "they are still not found"
}
