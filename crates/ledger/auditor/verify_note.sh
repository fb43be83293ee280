#!/bin/sh
# Checks one signature line of a C2SP signed note with openssl and nothing of ours.
#
#   sh verify_note.sh NOTE VKEY
#
# NOTE is a file; VKEY is the text name+id+base64(type and key) of the signer: type 0x01 for a log
# key (https://c2sp.org/signed-note), 0x04 for a witness (https://c2sp.org/tlog-cosignature).
# Exit 0 and one line if the key signed the note, 1 and the reason if not. Needs sh, awk, grep,
# base64, mktemp and OpenSSL 3.
set -eu
LC_ALL=C
export LC_ALL

fail() {
    printf 'verify_note: %s\n' "$*" >&2
    exit 1
}

# Canonical base64 to hexadecimal, bytes to escapes that printf turns into bytes.
hex() {
    decoded=$(printf '%s\n' "$1" | awk '
        { digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
          for (i = 1; i <= length($0) && substr($0, i, 1) != "="; i++) {
              d = index(digits, substr($0, i, 1)) - 1
              if (d < 0) exit 1
              bits = bits * 64 + d; have += 6
              if (have >= 8) {
                  have -= 8; unit = 2 ^ have
                  printf "%02x", int(bits / unit); bits = bits % unit
              }
          } }') || fail "not base64: $1"
    [ "$(bytes "$decoded" | base64 | awk '{ printf "%s", $0 }')" = "$1" ] ||
        fail "not canonical base64: $1"
    echo "$decoded"
}

bytes() {
    printf '%b' "$(printf '%s\n' "$1" | awk '
        { for (i = 1; i < length($0); i += 2)
              printf "\\0%03o", 16 * (index("0123456789abcdef", substr($0, i, 1)) - 1) \
                  + index("0123456789abcdef", substr($0, i + 1, 1)) - 1 }')"
}

cut_hex() { # text, first digit, number of digits
    printf '%s\n' "$1" | awk -v from="$2" -v count="$3" '{ print substr($0, from, count) }'
}

[ $# -eq 2 ] || fail "usage: verify_note.sh NOTE VKEY"
note=$1
[ -f "$note" ] && [ -r "$note" ] || fail "cannot read $note"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The key: its name and bytes determine its id.
name=${2%%+*}
rest=${2#*+}
id=${rest%%+*}
blob=$(hex "${rest#*+}")
[ "$name+$id+${rest#*+}" = "$2" ] && [ ${#blob} -eq 66 ] || fail "not a verifier key: $2"
type=$(cut_hex "$blob" 1 2)
computed=$({ printf '%s\n' "$name" && bytes "$blob"; } | openssl dgst -sha256 -r)
[ "$(cut_hex "$computed" 1 8)" = "$id" ] || fail "key $name has id $(cut_hex "$computed" 1 8), not $id"
# DER of an Ed25519 public key [RFC 8410]: a fixed prefix before the 32 bytes.
bytes "302a300506032b6570032100$(cut_hex "$blob" 3 64)" >"$work/key.der"

# The text ends before the last empty line. What awk cannot pass on unchanged is no note.
[ "$(awk '{ print }' <"$note" | openssl dgst -sha256 -r)" = "$(openssl dgst -sha256 -r <"$note")" ] ||
    fail "$note is not text of whole lines"
split=$(awk '$0 == "" { last = NR } END { print last + 0 }' <"$note")
[ "$split" -gt 1 ] || fail "$note has no empty line before its signatures"
awk -v split_at="$split" 'NR < split_at' <"$note" >"$work/text"

# The one line of this key: by name, then by id.
key_start=$(printf '\342\200\224 %s ' "$name") awk -v split_at="$split" '
    NR > split_at && index($0, ENVIRON["key_start"]) == 1 {
        print substr($0, length(ENVIRON["key_start"]) + 1) }' <"$note" >"$work/lines"
line=
while IFS= read -r encoded; do
    candidate=$(hex "$encoded")
    [ "$(cut_hex "$candidate" 1 8)" = "$id" ] || continue
    [ -z "$line" ] || fail "$note has two lines of key $name+$id"
    line=$candidate
done <"$work/lines"
[ -n "$line" ] || fail "$note has no line of key $name+$id"

case $type in
01)
    signature=$(cut_hex "$line" 9 9999)
    cat "$work/text" >"$work/message"
    by="signed by $name+$id"
    ;;
04)
    time=$(cut_hex "$line" 9 16 | awk '{
        for (i = 1; i <= 16; i++) t = t * 16 + index("0123456789abcdef", substr($0, i, 1)) - 1
        # Beyond 2^53 awk does not count exactly; that is 285 million years.
        if (t >= 2 ^ 53) exit 1
        printf "%.0f\n", t }') || fail "the time of $name+$id is out of range"
    signature=$(cut_hex "$line" 25 9999)
    { printf 'cosignature/v1\ntime %s\n' "$time" && cat "$work/text"; } >"$work/message"
    by="cosigned by $name+$id at $time"
    ;;
*) fail "key $name has type 0x$type, only 0x01 and 0x04 are known" ;;
esac
[ ${#signature} -eq 128 ] || fail "the signature of $name+$id has not 64 bytes"
bytes "$signature" >"$work/signature"

openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin \
    -in "$work/message" -sigfile "$work/signature" >/dev/null 2>&1 ||
    fail "the signature of $name+$id does not verify"
printf '%s\n' "$note: $by"
