#!/bin/sh
# Installs the programs that some tests run, where they are missing: real encoders and players find
# what a mock never will. Does nothing when all are there.
#
# ANTIPHON_SKIP_MISSING=1: what cannot be had is no failure; the tests that need it say so and skip.
set -eu

purpose="the tests"
tools="ffmpeg curl openssl htpasswd cvlc dig icecast2 liquidsoap gst-launch-1.0 mpg123 mplayer mpv nc faketime nginx fail2ban-regex ogginfo ezstream lego certbot pebble pebble-challtestsrv goaccess"

# The Debian packages of a program, where they are not named as it is.
packages_of() {
    case "$1" in
    cvlc) echo vlc-bin vlc-plugin-base ;;
    htpasswd) echo apache2-utils ;;
    fail2ban-regex) echo fail2ban ;;
    dig) echo bind9-dnsutils ;;
    nc) echo netcat-openbsd ;;
    ogginfo) echo vorbis-tools ;;
    pebble-challtestsrv) echo pebble ;;
    nginx) echo nginx-light libnginx-mod-stream ;;
    gst-launch-1.0) echo gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good ;;
    *) echo "$1" ;;
    esac
}

# shellcheck source=tests/install.sh
. "$(dirname "$0")/install.sh"
install_missing
