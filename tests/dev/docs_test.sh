#!/usr/bin/env bash
# The reference of the public headers is made without warnings and has what the comments say; the filter leaves
# code alone and keeps the numbers of lines.
# usage: docs_test.sh SOURCE_DIR
set -euo pipefail

source_dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "$1" >&2
  exit 1
}

cat >"$work/in.h" <<'END'
// About the file, with <angles>
// in two lines.
#pragma once

namespace resnet {  // not a description

// A thing with "quotes" & more, and `a < b`.
struct Thing {
  int size = 0;      // pixels
                     // of a side
  const char* url = "http://x";
  // Of the next.
  char slash = '/';
};

}  // namespace resnet
END
cat >"$work/wanted" <<'END'
/// About the file, with \<angles\>
/// in two lines.
/// \file

namespace resnet {  

/// A thing with \"quotes\" \& more, and `a < b`.
struct Thing {
  int size = 0;      ///< pixels
                     ///< of a side
  const char* url = "http://x";
  /// Of the next.
  char slash = '/';
};

}  
END
awk -f "$source_dir/tools/dev/doc_filter.awk" "$work/in.h" >"$work/out"
diff "$work/wanted" "$work/out" || fail "the filter made something else"

if ! command -v doxygen >/dev/null; then
  echo "[  SKIPPED ] docs: doxygen is missing"
  exit 77
fi
"$source_dir/tools/dev/docs.sh" --output="$work/docs"
html=$work/docs/html
for page in classresnet_1_1Net classresnet_1_1Classifier classresnet_1_1Solver structresnet_1_1ClassifierOptions; do
  [[ -f $html/$page.html ]] || fail "there is no page $page.html"
done
has() {  # PAGE TEXT
  tr '\n' ' ' <"$html/$1.html" | sed 's/<[^>]*>//g' | grep -qF "$2" || fail "$1.html does not have: $2"
}
has classresnet_1_1Classifier "A net with its weights, ready to classify."
has structresnet_1_1ClassifierOptions "images that are computed together, at most"
has classresnet_1_1Net "Fills weights by their fillers"
has index "Public headers"
echo "the reference has $(find "$html" -name '*.html' | wc -l) pages"
