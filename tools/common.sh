# shellcheck shell=bash
# Sourced by the scripts beside it.

# Prints the comment at the head of the calling script.
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

# stage NAME COMMAND...: runs a command between two lines, the second of which says how long it took.
stage() {
  local name=$1 from=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - from)) s"
}
