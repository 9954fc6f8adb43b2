// A solver prototxt with the net or nets that it names, as one net for both phases.
#pragma once

#include <string>
#include <vector>

#include "resnet/proto/resnet.pb.h"

namespace resnet {

struct SolverFiles {
  SolverParameter param;
  std::string path;      // of the solver
  std::string base_dir;  // folder of the net's file: relative data paths are sought there too
  // Layers of TRAIN and TEST. Rules by stage and level have been applied with the solver's
  // train_state and test_state; only rules by phase are left.
  NetParameter net;
  std::vector<std::string> where;     // "file:line" of net.layer(i)
  std::string net_path;               // for messages about the net as a whole
  std::vector<std::string> problems;  // of the net's text, to be reported with the graph's errors

  std::string locate(int layer) const;
};

// Reads a solver and its `net`, or `train_net` and `test_net` (or the inline forms of either);
// paths are sought in the working directory, then beside the solver. Throws ConfigError on files
// that cannot be read and on contradictions; unknown fields of nets are returned in `problems`.
SolverFiles read_solver(const std::string& path);

// snapshot_prefix, or the solver file's path without its extension; of a prefix that is a folder,
// the solver's name in it.
std::string snapshot_prefix(const SolverParameter& param, const std::string& solver_path);

}  // namespace resnet
