// Solver states, without their weight files.
#include "fuzz/fuzz.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/snapshot.h"
#include "resnet/solver/learning_rate.h"

RESNET_FUZZ_TARGET(solverstate) {
  using namespace resnet;
  const LoadedState loaded = parse_solverstate(input, "file");
  const SolverState& state = loaded.state;
  for (const BlobProto& blob : state.history()) {
    fuzz::require(
        static_cast<int64_t>(blob_values(blob, "file").size()) == blob_shape(blob, "file").count(),
        "a blob has as many values as its shape says");
  }
  History history;
  history.load(state);
  for (const char* policy : {"fixed", "plateau"}) {
    SolverParameter solver;
    solver.set_base_lr(0.1F);
    solver.set_lr_policy(policy);
    solver.set_warmup_lr(0.01F);
    check_schedule(solver);
    learning_rate(solver, state.iter(), history);
  }
  history.tested_at(state.iter());
}
