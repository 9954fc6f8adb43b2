#!/usr/bin/env bash
# Fails on an #include that points against the arrows between modules.
#
# The arrows are those of src/CMakeLists.txt: resnet_module(a DEPENDS b) lets a, and all that depend on
# a, include the public headers of b. Also checked: headers of src/ are private to their module; public
# headers include no private ones; a library belongs to the modules named below.
#
# usage: tools/dev/check_includes.sh [ROOT]
set -euo pipefail

root=${1:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$root"

files=$(find include src tools tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.inc' | sort)
# shellcheck disable=SC2086  # one argument per file; the names hold no blanks
awk '
function fail(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; ++failures }

# The module that a file of the project belongs to.
function module_of(path, parts, n) {
  n = split(path, parts, "/")
  if (parts[1] == "include") return parts[3]
  if (parts[1] != "src") return path ~ /^tools\/resnet\// ? "tools" : "tests"  # benchmarks use what tests use
  if (parts[2] != "backends") return parts[2]
  return n > 3 ? "backends/" parts[3] : "backends"
}

# The module whose header "resnet/m/x.h" or "m/x.h" is; "" for a file beside the one that includes it.
function owner(header, parts, n) {
  n = split(header, parts, "/")
  if (n == 1) return ""
  if (parts[1] == "resnet") return parts[2]
  if (parts[1] == "backends" && n > 2) return "backends/" parts[2]
  return parts[1]
}

function allowed(from, to, m) {
  if (from == to || from == "tests" || from == "tools") return 1
  for (m in arrow) {
    if (index(m, from SUBSEP) == 1 && allowed(substr(m, length(from) + 2), to)) return 1
  }
  return 0
}

BEGIN {
  # Headers of libraries, as prefixes, and who may include them (tests may include all).
  library["opencv2/"] = " data tools "
  library["oneapi/dnnl/"] = " backends/onednn tools "   # tools: resnet info names the version
  library["dnnl"] = " backends/onednn "
  library["lmdb.h"] = " data tools "
  library["jpeglib.h"] = " data tools "
  library["jerror.h"] = " data "
  library["zlib.h"] = " data exchange "
  library["gflags/"] = " tools "
  library["omp.h"] = " base "
  library["cuda"] = " backends/cuda base "  # base: 16-bit types on the device (half.h)
  library["nvtx3/"] = " backends/cuda "
  library["cublas"] = " backends/cuda "
  library["cudnn"] = " backends/cuda "
  # Built by a file of its own, where there is CUDA: src/backends/cuda/cuda.cmake.
  known["backends/cuda"] = 1
  arrow["backends/cuda", "backend"] = 1
}

FILENAME ~ /CMakeLists.txt$/ {
  # A backend that is declared in a file of its own, include(backends/x/x.cmake), depends on backend.
  if ($0 ~ /^include\(backends\/[a-z]+\/[a-z]+\.cmake\)/) {
    split($0, word, "/")
    known["backends/" word[2]] = 1
    arrow["backends/" word[2], "backend"] = 1
  }
  if ($0 !~ /^resnet_module\(/) next
  line = $0
  gsub(/resnet_module\(|\)/, " ", line)
  n = split(line, word, " ")
  name = word[1]
  for (i = 2; i < n; ++i) if (word[i] == "DIR") folder[name] = word[i + 1]
  if (!(name in folder)) folder[name] = name
  on = 0
  for (i = 2; i <= n; ++i) {
    if (word[i] == "DEPENDS") { on = 1; continue }
    if (word[i] == "LIBS" || word[i] == "DIR") on = 0
    if (on) arrow[folder[name], (word[i] in folder) ? folder[word[i]] : word[i]] = 1
  }
  known[folder[name]] = 1
  next
}

FNR == 1 {
  from = module_of(FILENAME)
  if (from != "tools" && from != "tests" && !(from in known)) {
    fail("src/CMakeLists.txt declares no module for this folder")
  }
  ++checked
}

/^[ \t]*#[ \t]*include[ \t]/ {
  header = $0
  sub(/^[^<"]*[<"]/, "", header)
  sub(/[>"].*$/, "", header)
  for (prefix in library) {
    if (index(header, prefix) == 1 && from != "tests" && !index(library[prefix], " " from " ")) {
      fail("module " from " may not include " header " (only" library[prefix] "may)")
    }
  }
  if ($0 !~ /"/) next
  to = owner(header)
  is_public = header ~ /^resnet\//
  if (FILENAME ~ /^include\// && !is_public) fail("a public header may not include the private " header)
  if (to == "" || from == "tests") next
  if (from == "tools" && !is_public) {
    if (to in known) fail("commands use public headers only, not " header)
    next
  }
  if (!is_public && to != from) {
    # The list of backends is the one place that names them all.
    if (!(from == "backends" && to ~ /^backends\// && header ~ /\/backend\.h$/)) {
      fail(header " is private to module " to)
    }
  } else if (!allowed(from, to)) {
    fail("module " from " may not include " header ": it does not depend on " to)
  }
}

END {
  if (failures) { printf "%d wrong includes\n", failures; exit 1 }
  printf "includes of %d files follow the modules\n", checked
}
' src/CMakeLists.txt $files
