# Sums up the output of `ctest --verbose`: the skipped tests with their reasons, the failed ones, and
# "N passed, N failed, N skipped". A GoogleTest program counts by its tests, any other test as one. Exits
# 1 unless something passed and nothing failed.
#
# ctest prefixes the output of test number N with "N: " and closes each test with a line of its own.
function clean(text) {
  sub(/, where (Get|Type)Param\(?\)? = .*/, "", text)
  sub(/ \([0-9]+ ms\)$/, "", text)
  return text
}

function list(title, count, lines, i) {
  if (count) printf "\n%s (%d)\n", title, count
  for (i = 1; i <= count; ++i) print "  " lines[i]
}

# A line of a test's output.
match($0, /^ *[0-9]+: /) {
  line = substr($0, RSTART + RLENGTH)
  if (line ~ /^\[ RUN      \] /) { running = substr(line, 14); reason = ""; why_next = 0; next }
  if (line ~ /^\[       OK \] /) { ++ok; running = "" }
  else if (line ~ /^\[  FAILED  \] .* \([0-9]+ ms\)$/) { bad[++bads] = clean(substr(line, 14)); running = "" }
  else if (line ~ /^\[  SKIPPED \] .* \([0-9]+ ms\)$/) {
    skip[++skips] = clean(substr(line, 14)) (reason == "" ? "" : ": " reason); running = ""
  }
  else if (why_next && line != "") { reason = line; why_next = 0 }
  if (line ~ /: Skipped$/) why_next = 1
  next
}

# The closing line of a test.
/^ *[0-9]+\/[0-9]+ Test +#/ {
  name = $0
  sub(/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /, "", name)
  outcome = name
  sub(/ .*/, "", name)
  for (i = first_bad + 1; i <= bads; ++i) bad[i] = name ": " bad[i]
  for (i = first_skip + 1; i <= skips; ++i) skip[i] = name ": " skip[i]
  counted = (ok + bads + skips) - before
  if (outcome ~ /\*\*\*Skipped/) skip[++skips] = name
  else if (outcome !~ / Passed /) {
    if (running != "") bad[++bads] = name ": " running " did not end"
    else if (bads == first_bad) { sub(/^[^*]*\*\*\*/, "", outcome); gsub(/ +/, " ", outcome); bad[++bads] = name ": " outcome }
  }
  else if (!counted) ++ok
  first_bad = bads; first_skip = skips; before = ok + bads + skips; running = ""
}

END {
  list("SKIPPED", skips, skip)
  list("FAILED", bads, bad)
  printf "\n%d passed, %d failed, %d skipped\n", ok, bads, skips
  exit !(ok > 0 && bads == 0)
}
