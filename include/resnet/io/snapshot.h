// Snapshots: pairs of <prefix>_iter_N.caffemodel (weights) and <prefix>_iter_N.solverstate (the
// rest).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resnet/proto/resnet.pb.h"

namespace resnet {

struct SnapshotPaths {
  std::string model;  // <prefix>_iter_<N>.caffemodel
  std::string state;  // <prefix>_iter_<N>.solverstate
};
SnapshotPaths snapshot_paths(const std::string& prefix, int64_t iter);

// Writes the model and then the state, which names the model by base name and checksum; sets the
// fields learned_net and model_checksum of `state`, whose `iter` is N. Both files are durable on
// return, and a stop at any moment leaves every earlier pair intact. Throws DataError.
SnapshotPaths write_snapshot(const std::string& prefix, const NetParameter& model,
                             SolverState* state, uint64_t run_id);

struct LoadedState {
  SolverState state;
  std::string path;
  // Beside `path`, by the base name that the state has; verified to belong to it.
  std::string model_path;
  bool ours = false;    // false: Caffe's, which holds iter, current_step and history only
  uint64_t run_id = 0;  // ours only
  std::vector<std::string> notes;  // for the log, one line each
};

// Reads a state and checks that its model is there and (ours) undamaged and the very one. Throws
// DataError.
LoadedState read_solverstate(const std::string& path);
// The state alone, without model_path. Throws DataError, which begins with `path`.
LoadedState parse_solverstate(std::string_view bytes, const std::string& path);

// The pair with the highest iteration that can be read whole, for --snapshot=auto; nothing if there
// is none. `notes` gets one line per pair that was skipped and why, and about leftovers of killed
// runs.
std::optional<LoadedState> find_latest(const std::string& prefix, std::vector<std::string>* notes);

// After the snapshot of this run at `newest_iter`: removes older pairs of the same run except the
// newest `keep` (<= 0: all are kept) and the one at `best_iter` (-1: none), and temporary files
// that killed runs left under this prefix. Removes nothing unless one of the pairs that stay
// verifies, and nothing of another run. Returns what it did, one line each.
std::vector<std::string> remove_old_snapshots(const std::string& prefix, int64_t newest_iter,
                                              int keep, int64_t best_iter, uint64_t run_id);

}  // namespace resnet
