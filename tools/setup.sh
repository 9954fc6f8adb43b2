#!/usr/bin/env bash
# Installs the system packages that building and testing needs, on Debian 12 or later and Ubuntu 22.04
# or later. Does nothing when all are there.
#
# usage: tools/setup.sh [--dev] [--cuda] [--python] [--dry-run]
#   --dev      also what tools/dev/*.sh and tools/package.sh need: clang-format, clang-tidy, shellcheck, clang with
#              libFuzzer, doxygen, patchelf
#   --cuda     also what building the CUDA backend needs: fetches the headers of cudnn-frontend to
#              build/third_party (no root, no Python needed), and says what else is missing
#   --python   also a Python in build/python with packages from PyPI that some tests compare with: numpy,
#              safetensors, onnx, onnxruntime, tensorboard, jsonschema (root only where python3-venv is missing);
#              tests skip what is not there
#   --dry-run  print the command instead of running it
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "$0")/common.sh"

packages=(
  g++ cmake ninja-build ccache git
  protobuf-compiler libprotobuf-dev libgoogle-glog-dev libgflags-dev liblmdb-dev libjpeg-dev zlib1g-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  libgtest-dev
)
dry_run=false
cuda=false
python=false
dev=false
for argument in "$@"; do
  case $argument in
    --dev)
      dev=true
      packages+=(clang-format clang-tidy shellcheck clang doxygen patchelf)
      ;;
    --cuda) cuda=true ;;
    --python) python=true ;;
    --dry-run) dry_run=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "setup.sh: unknown option '$argument'; see --help" >&2
      exit 2
      ;;
  esac
done

# cudnn-frontend is headers only, the same in the wheels of all machines.
frontend_version=1.32.0
frontend_wheel=nvidia_cudnn_frontend-$frontend_version-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl
frontend_sha256=c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0
frontend_url=https://files.pythonhosted.org/packages/11/02/660e2dd9f9d9f940e1641443771730612c3aadaafbc5ef7a93cc313d519d/$frontend_wheel
frontend_folder=$(cd "$(dirname "$0")/.." && pwd)/build/third_party/cudnn-frontend

# fetch_wheel FOLDER: by pip, which knows mirrors, else by curl.
fetch_wheel() {
  if python3 -m pip --version >/dev/null 2>&1 &&
    python3 -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux_2_27_x86_64 \
      --python-version 3.11 --dest "$1" "nvidia-cudnn-frontend==$frontend_version" </dev/null; then
    return
  fi
  command -v curl >/dev/null || { echo "setup.sh: neither pip nor curl is there" >&2; return 1; }
  curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$1/$frontend_wheel" "$frontend_url"
}

fetch_frontend() {
  if [[ $(cat "$frontend_folder/version" 2>/dev/null) == "$frontend_version" ]]; then
    echo "setup: cudnn-frontend $frontend_version is in $frontend_folder"
    return
  fi
  echo "setup: fetching cudnn-frontend $frontend_version to $frontend_folder"
  if $dry_run; then
    echo "python3 -m pip download nvidia-cudnn-frontend==$frontend_version, or curl $frontend_url"
    return
  fi
  local work
  work=$(mktemp -d)
  if ! fetch_wheel "$work" ||
    ! echo "$frontend_sha256  $work/$frontend_wheel" | sha256sum --check --status; then
    rm -rf "$work"
    echo "setup.sh: cannot fetch cudnn-frontend $frontend_version (sha256 $frontend_sha256); unpack the include" \
      "folder of $frontend_url to $frontend_folder" >&2
    return 1
  fi
  mkdir "$work/wheel"
  (cd "$work/wheel" && cmake -E tar xf "$work/$frontend_wheel" include)
  mkdir -p "$frontend_folder"
  rm -rf "$frontend_folder/include"
  mv "$work/wheel/include" "$frontend_folder/include"
  echo "$frontend_version" >"$frontend_folder/version"
  rm -rf "$work"
}

# Says what the CUDA backend needs besides; nothing of it can be installed without NVIDIA's repository.
report_cuda() {
  local nvcc folder headers=()
  nvcc=$(find_nvcc)
  if [[ -z $nvcc ]]; then
    echo "setup: missing for the CUDA backend: the CUDA toolkit 12 or 13 (nvcc, cuBLAS). NVIDIA's repository" \
      "https://developer.nvidia.com/cuda-downloads has it as cuda-toolkit-13-0; set CUDACXX where nvcc is elsewhere"
  else
    folder=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    echo "setup: CUDA toolkit: $folder"
    headers=("$folder/include")
  fi
  if ! find_cudnn "${headers[@]}"; then
    echo "setup: missing for the CUDA backend: cuDNN 9 with its headers. The same repository has it as" \
      "libcudnn9-dev-cuda-13 (or -12); https://developer.nvidia.com/cudnn-downloads has archives"
  fi
}

set_up_cuda() {
  fetch_frontend
  report_cuda
}

python_packages=(numpy safetensors onnx onnxruntime tensorboard jsonschema)
python_folder=$(cd "$(dirname "$0")/.." && pwd)/build/python

set_up_python() {
  if [[ $(cat "$python_folder/packages" 2>/dev/null) == "${python_packages[*]}" ]]; then
    echo "setup: $python_folder has ${python_packages[*]}"
    return
  fi
  echo "setup: installing ${python_packages[*]} to $python_folder"
  local install=("$python_folder/bin/python" -m pip install --quiet --disable-pip-version-check
    --timeout 15 --retries 2 --only-binary=:all: "${python_packages[@]}")
  if $dry_run; then
    echo "python3 -m venv $python_folder"
    echo "${install[*]}"
    return
  fi
  mkdir -p "$(dirname "$python_folder")"
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet python3-venv </dev/null || true
  fi
  if ! python3 -m venv "$python_folder" </dev/null || ! "${install[@]}" </dev/null; then
    echo "setup.sh: cannot make $python_folder: it takes python3 with the module venv (Debian: python3-venv) and" \
      "a way to PyPI" >&2
    return 1
  fi
  echo "${python_packages[*]}" >"$python_folder/packages"
}

if $python; then set_up_python; fi

if $cuda && command -v cmake >/dev/null; then  # before what needs root
  set_up_cuda
  cuda=false
fi

if ! command -v apt-get >/dev/null; then
  echo "setup.sh: this system has no apt-get. Install what these Debian packages hold, then run" \
    "tools/build.sh: ${packages[*]} libdnnl-dev (oneDNN)" >&2
  exit 2
fi

installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Whether apt knows a version of a package that it could install.
available() {
  local candidate
  candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
  [[ -n $candidate && $candidate != "(none)" ]]
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
# libFuzzer is a package of its own where Clang is new enough.
lacks_libfuzzer() { $dev && ! installed libclang-rt-dev && available libclang-rt-dev; }
onednn_missing=true
if installed libdnnl-dev || installed libonednn-dev; then onednn_missing=false; fi

if ((${#missing[@]} == 0)) && ! $onednn_missing && ! lacks_libfuzzer; then
  echo "setup: all packages are installed"
  exit 0  # cmake among them, so that --cuda is done
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: packages are installed as root, and there is no sudo: run this script as root" >&2
    exit 2
  fi
  as_root=(sudo)
  [[ -t 0 ]] || as_root=(sudo -n)  # never ask where nobody can answer
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3)

if ! $dry_run; then
  "${apt[@]}" update -q </dev/null
fi
if lacks_libfuzzer; then missing+=(libclang-rt-dev); fi
if $onednn_missing; then  # oneDNN is called libonednn-dev where the old name is gone
  if available libdnnl-dev || ! available libonednn-dev; then
    missing+=(libdnnl-dev)
  else
    missing+=(libonednn-dev)
  fi
fi

echo "setup: installing ${missing[*]}"
install=("${apt[@]}" install -q -y --no-install-recommends "${missing[@]}")
if $dry_run; then
  echo "${apt[*]} update"
  echo "${install[*]}"
else
  "${install[@]}" </dev/null
fi
if $cuda; then set_up_cuda; fi  # cmake is there now
