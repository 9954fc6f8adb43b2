#!/usr/bin/env bash
# tools/dev/summarize_tests.awk counts passes, failures, skips, crashes and time-outs.
# usage: summary_test.sh SOURCE_DIR
set -euo pipefail
awk_file=$1/tools/dev/summarize_tests.awk

expect() {  # EXIT_STATUS EXPECTED, log on stdin
  local status=0 actual
  actual=$(awk -f "$awk_file") || status=$?
  if [[ $actual != "$2" || $status != "$1" ]]; then
    printf 'exit %s, expected %s\n%s\n' "$status" "$1" "$actual" >&2
    diff <(printf '%s' "$2") <(printf '%s' "$actual") >&2
    exit 1
  fi
}

expect 1 "
SKIPPED (2)
  unit: Op.Wide: no AVX-512 here
  gpu

FAILED (4)
  unit: Op.Bad/3
  data: Loader.Crashes did not end
  slow: Timeout 9.00 sec
  script: Failed 0.10 sec

3 passed, 4 failed, 2 skipped" <<'LOG'
test 1
    Start 1: unit

1: Test command: /build/tests/unit_test
1: [ RUN      ] Op.Good
1: [       OK ] Op.Good (2 ms)
1: [ RUN      ] Op.Wide
1: /src/tests/unit/op_test.cpp:10: Skipped
1: no AVX-512 here
1:
1: [  SKIPPED ] Op.Wide (0 ms)
1: [ RUN      ] Op.Bad/3
1: /src/tests/unit/op_test.cpp:20: Failure
1: [  FAILED  ] Op.Bad/3, where GetParam() = 4-byte object <03-00 00-00> (1 ms)
1: [  PASSED  ] 1 test.
1: [  SKIPPED ] 1 test, listed below:
1: [  SKIPPED ] Op.Wide
1: [  FAILED  ] 1 test, listed below:
1: [  FAILED  ] Op.Bad/3, where GetParam() = 4-byte object <03-00 00-00>
1/6 Test #1: unit .............................***Failed    0.03 sec
 2: [ RUN      ] Loader.Works
 2: [       OK ] Loader.Works (2 ms)
 2: [ RUN      ] Loader.Crashes
2/6 Test #2: data .............................***Exception: SegFault  0.20 sec
3/6 Test #3: slow .............................***Timeout   9.00 sec
4/6 Test #4: includes .........................   Passed    0.20 sec
5/6 Test #5: script ...........................***Failed    0.10 sec
6/6 Test #6: gpu ..............................***Skipped   0.00 sec

33% tests passed, 4 tests failed out of 6
LOG

expect 0 "
2 passed, 0 failed, 0 skipped" <<'LOG'
1: [ RUN      ] A.B
1: [       OK ] A.B (2 ms)
1/2 Test  #1: a .............................   Passed    0.03 sec
2/2 Test #12: b .............................   Passed    0.03 sec
LOG

expect 1 "
0 passed, 0 failed, 0 skipped" <<'LOG'
No tests were found!!!
LOG
