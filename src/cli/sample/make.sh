#!/bin/sh
# Makes sample.mp3, the radio that `antiphon demo` plays, from nothing but synthesis.
# Needs sox and ffmpeg (with libmp3lame). Usage: src/cli/sample/make.sh [OUTPUT]
#
# The loop is a short antiphon of our own: the choir on the left calls, the one on the right answers,
# they overlap, and end together on the dominant, which leads back to the call. 8 bars of 4/4.
#
# It loops without a seam, because it is cut out of the middle of its own repetition:
# an eighth lasts 16,758 samples, so 64 of them are exactly 931 MP3 frames of 1,152 samples, and
# 931 frames of 128 kbit/s at 44.1 kHz are exactly 389,120 bytes (each 49 frames are 20,480).
# Without the bit reservoir no frame leans on the one before it, so any frame may come first.
set -eu

eighth=16758
loop_samples=$((64 * eighth))
loop_bytes=389120
output=${1:-$(dirname "$0")/sample.mp3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOX_OPTS="-R --no-dither"

# note VOICE START(eighths) LENGTH(eighths) PITCH LOUDNESS PAN(-1 left .. 1 right)
# leaves one file, silent until the note begins, in $work.
count=0
note() {
    count=$((count + 1))
    file=$work/$(printf 'n%03d' "$count").wav
    seconds=$(awk "BEGIN { print $3 * $eighth / 44100 }")
    # The same pitch and its partials, as frequencies.
    hertz=$(awk -v name="$4" 'BEGIN {
        step = index("C.D.EF.G.A.B", substr(name, 1, 1)) - 1
        if (substr(name, 2, 1) == "#") step++
        octave = substr(name, length(name))
        print 440 * 2 ^ ((step - 9) / 12 + octave - 4)
    }')
    partial() { awk "BEGIN { print $hertz * $1 }"; }
    case $1 in
    bell) # A struck tone: a low hum, a bright partial that dies first.
        sox -q -n -r 44100 -c 4 "$work/raw.wav" synth 3.2 sine "$hertz" sine "$(partial 2.001)" \
            sine "$(partial 3.004)" sine "$(partial 5.42)"
        sox -q "$work/raw.wav" "$work/low.wav" remix 1v0.62,2v0.16 fade l 0.006 3.2 3.18
        sox -q "$work/raw.wav" "$work/high.wav" remix 3v0.13,4v0.07 fade l 0.003 1.1 1.09
        sox -q -m -v 1 "$work/low.wav" -v 1 "$work/high.wav" "$work/voice.wav"
        ;;
    pluck) # A string.
        sox -q -n -r 44100 -c 1 "$work/voice.wav" synth 2.4 pluck "$hertz" lowpass 4200 \
            fade l 0.002 2.4 2.2
        ;;
    organ) # A soft stopped pipe, held for as long as it is written.
        long=$(awk "BEGIN { print $seconds + 0.5 }")
        sox -q -n -r 44100 -c 4 "$work/raw.wav" synth "$long" sine "$hertz" \
            sine "$(partial 2.003)" sine "$(partial 3)" sine "$(partial 4.005)"
        sox -q "$work/raw.wav" "$work/voice.wav" remix 1v0.6,2v0.22,3v0.12,4v0.05 \
            tremolo 4.6 12 fade t 0.16 "$long" 0.62
        ;;
    esac
    left=$(awk "BEGIN { print $5 * cos(($6 + 1) * 0.7853982) }")
    right=$(awk "BEGIN { print $5 * sin(($6 + 1) * 0.7853982) }")
    sox -q "$work/voice.wav" -e floating-point -b 32 "$file" \
        remix "1v$left" "1v$right" pad "$(($2 * eighth))s"
}

# tune VOICE LOUDNESS PAN START PITCH:LENGTH…, one note after the other; "-" is a rest.
tune() {
    voice=$1 loud=$2 pan=$3 at=$4
    shift 4
    for word in "$@"; do
        if [ "${word%:*}" != - ]; then
            note "$voice" "$at" "${word#*:}" "${word%:*}" "$loud" "$pan"
        fi
        at=$((at + ${word#*:}))
    done
}

# The call, two bars; the answer, two bars.
call="D5:2 G5:2 B5:3 A5:1 A5:2 F#5:2 D5:4"
answer="E5:2 G5:2 B5:3 A5:1 G5:2 E5:2 C5:4"
# Closer: half a bar each. Then both together, a third apart, to the dominant.
left_end="D5:1 G5:1 B5:2 -:4 C6:1 B5:1 A5:2 -:4 A5:2 C6:2 B5:1 A5:1 G5:2 F#5:2 A5:2 D5:4"
right_end="-:4 A5:1 B5:1 D6:2 -:4 G5:1 A5:1 E5:2 E5:2 A5:2 G5:1 F#5:1 E5:2 D5:2 F#5:2 A4:4"
for voice in bell pluck; do
    case $voice in bell) loud=0.30 ;; *) loud=0.34 ;; esac
    # shellcheck disable=SC2086 # each word is a note
    {
        tune $voice $loud -0.75 0 $call
        tune $voice $loud 0.75 16 $answer
        tune $voice $loud -0.75 32 $left_end
        tune $voice $loud 0.75 32 $right_end
    }
done

# Under both of them: G, D, Em, C, G, C, Am7, D. A chord a bar on the organ, the bass in the middle,
# and a string that walks through the chord.
bar=0
for chord in "G2 G3 B3 D4" "F#2 F#3 A3 D4" "E2 G3 B3 E4" "C3 G3 C4 E4" \
    "B2 G3 B3 D4" "C3 G3 C4 E4" "A2 G3 C4 E4" "D3 F#3 A3 D4"; do
    # shellcheck disable=SC2086 # the words of a chord are its pitches
    set -- $chord
    start=$((bar * 8))
    note organ $start 8 "$1" 0.26 0
    note organ $start 8 "$2" 0.085 -0.35
    note organ $start 8 "$3" 0.085 0
    note organ $start 8 "$4" 0.085 0.35
    tune pluck 0.11 0 $start "$2:2" "$3:2" "$4:2" "$3:2"
    bar=$((bar + 1))
done

# One pass with its tails, laid over itself four times, so that each pass begins in the tail of the
# one before; then the room. The third pass is the loop.
sox -q -m $(for file in "$work"/n*.wav; do printf -- '-v 1 %s ' "$file"; done) \
    -e floating-point -b 32 "$work/pass.wav"
for pass in 0 1 2 3; do
    sox -q "$work/pass.wav" "$work/p$pass.wav" pad "$((pass * loop_samples))s"
done
sox -q -m -v 1 "$work/p0.wav" -v 1 "$work/p1.wav" -v 1 "$work/p2.wav" -v 1 "$work/p3.wav" \
    -e floating-point -b 32 "$work/dry.wav"
sox -q "$work/dry.wav" -b 16 "$work/wet.wav" highpass 35 reverb 42 40 85 90 18 -3 gain -n -2.5

ffmpeg -nostdin -v error -y -i "$work/wet.wav" -c:a libmp3lame -b:a 128k -reservoir 0 \
    -map_metadata -1 -id3v2_version 0 -write_xing 0 -f mp3 "$work/long.mp3"
tail -c "+$((2 * loop_bytes + 1))" "$work/long.mp3" | head -c "$loop_bytes" >"$output"
