// Solvers as text, their schedules, and back to text.
#include "fuzz/fuzz.h"
#include "resnet/io/prototxt.h"
#include "resnet/solver/learning_rate.h"

RESNET_FUZZ_TARGET(solver_prototxt) {
  using namespace resnet;
  const SolverParameter solver = parse_solver_prototxt(input);
  const SolverParameter again = parse_solver_prototxt(format_prototxt(solver));
  fuzz::require(format_prototxt(again) == format_prototxt(solver),
                "the text of a solver reads back as the same solver");
  check_schedule(solver);
  History history;
  history.window = window_of(solver);
  for (int64_t i = 0; i < 20; ++i) history.add(1, 50, 100);
  for (const int64_t iter : {0, 1, 20, 1000, 2'000'000'000}) {
    learning_rate(solver, iter, history);
    schedule_steps(solver, iter, history);
  }
}
