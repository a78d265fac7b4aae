#!/bin/sh
# Installs the encoders and players that `make clients` runs, where they are missing. Does nothing when all are there.
#
# ANTIPHON_SKIP_MISSING=1: what cannot be had is no failure; the table of the run names it.
set -eu

purpose="the tests of real clients"
tools="ffmpeg curl liquidsoap ezstream ices2 oggfwd gst-launch-1.0 darkice butt Xvfb xauth pulseaudio cvlc mpv mplayer
    mpg123 ogg123 mpd mpc streamripper chromium certutil setpriv
    /usr/lib/$(uname -m)-linux-gnu/gstreamer-1.0/libgstlibav.so"

# The Debian packages of a program, where they are not named as it is.
packages_of() {
    case "$1" in
    certutil) echo libnss3-tools ;;
    cvlc) echo vlc-bin vlc-plugin-base ;;
    gst-launch-1.0) echo gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good ;;
    ogg123) echo vorbis-tools ;;
    setpriv) echo util-linux ;;
    Xvfb) echo xvfb ;;
    */libgstlibav.so) echo gstreamer1.0-libav ;;
    *) echo "$1" ;;
    esac
}

# shellcheck source=tests/install.sh
. "$(dirname "$0")/install.sh"
install_missing
