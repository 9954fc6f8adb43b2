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

# Prints the path of nvcc; nothing where there is none.
find_nvcc() {
  local candidate
  for candidate in "${CUDACXX:-}" "$(command -v nvcc || true)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    [[ -n $candidate && -x $candidate ]] || continue
    echo "$candidate"
    return
  done
}

# find_cudnn [FOLDER...]: whether cudnn.h is in a folder, or where the system has its headers.
find_cudnn() {
  local folder
  for folder in "$@" /usr/include /usr/local/include "/usr/include/$(uname -m)-linux-gnu"; do
    [[ -f $folder/cudnn.h ]] && return
  done
  return 1
}

# Whether the CUDA backend can be built once cudnn-frontend is there.
has_cuda() {
  local nvcc
  nvcc=$(find_nvcc)
  [[ -n $nvcc ]] && find_cudnn "$(dirname "$(dirname "$(readlink -f "$nvcc")")")/include"
}
