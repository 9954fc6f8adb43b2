#include "resnet/solver/solver_files.h"

#include <algorithm>
#include <filesystem>

#include "resnet/base/error.h"
#include "resnet/data/source.h"
#include "resnet/graph/graph.h"
#include "resnet/io/files.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

GraphOptions graph_options(const NetState& state, Phase phase) {
  GraphOptions options;
  options.phase = phase;
  options.level = state.level();
  options.stages.assign(state.stage().begin(), state.stage().end());
  return options;
}

std::vector<bool> taking_part(const NetParameter& net, const GraphOptions& options) {
  std::vector<bool> part(static_cast<size_t>(net.layer_size()));
  for (const int i : layers_in_phase(net, options)) part[static_cast<size_t>(i)] = true;
  return part;
}

// Adds those layers of a file that take part in one of the phases it stands for.
void add_layers(const NetSource& from, bool train, bool test, SolverFiles* to) {
  const size_t count = static_cast<size_t>(from.net.layer_size());
  const NetState test_state =
      to->param.test_state_size() > 0 ? to->param.test_state(0) : NetState();
  const std::vector<bool> none(count);
  const std::vector<bool> in_train =
      train ? taking_part(from.net, graph_options(to->param.train_state(), TRAIN)) : none;
  const std::vector<bool> in_test =
      test ? taking_part(from.net, graph_options(test_state, TEST)) : none;
  for (size_t i = 0; i < count; ++i) {
    if (!in_train[i] && !in_test[i]) continue;
    LayerParameter* layer = to->net.add_layer();
    *layer = from.net.layer(static_cast<int>(i));
    layer->clear_include();
    layer->clear_exclude();
    if (in_train[i] != in_test[i]) layer->add_include()->set_phase(in_train[i] ? TRAIN : TEST);
    to->where.push_back(from.where(static_cast<int>(i)));
  }
  to->problems.insert(to->problems.end(), from.problems.begin(), from.problems.end());
}

NetSource inline_net(const NetParameter& net, const std::string& path) {
  NetSource source;
  source.net = net;
  source.path = path;
  return source;
}

}  // namespace

std::string SolverFiles::locate(int layer) const {
  if (layer < 0 || layer >= static_cast<int>(where.size())) return net_path;
  return where[static_cast<size_t>(layer)];
}

SolverFiles read_solver(const std::string& path) {
  SolverFiles files;
  files.path = path;
  files.param = read_solver_prototxt(path);
  const SolverParameter& param = files.param;
  const std::string dir = directory_of(path);

  const int both = param.has_net() + param.has_net_param();
  const int train = param.has_train_net() + param.has_train_net_param();
  const int test = param.test_net_size() + param.test_net_param_size();
  if (both + train != 1) {
    throw ConfigError(path + ": names " + std::to_string(both + train) +
                      " training nets; give one of net, net_param, train_net, train_net_param");
  }
  if (both + test > 1 || param.test_state_size() > 1 || param.test_iter_size() > 1) {
    throw ConfigError(path +
                      ": has several test nets; one is supported, keep one test_net, "
                      "test_state and test_iter");
  }

  const auto open = [&](bool has_path, const std::string& name, const NetParameter& given) {
    NetSource source =
        has_path ? read_net_source(resolve_path(name, dir)) : inline_net(given, path);
    if (files.net_path.empty()) {
      files.net_path = source.path;
      files.net.set_name(source.net.name());
    }
    if (source.net.input_size() > 0) {
      throw ConfigError(source.path + ": has input fields; a net for training reads Data layers");
    }
    return source;
  };
  if (both == 1) {
    add_layers(open(param.has_net(), param.net(), param.net_param()), true, true, &files);
  } else {
    add_layers(open(param.has_train_net(), param.train_net(), param.train_net_param()), true, false,
               &files);
  }
  if (test == 1) {
    const bool named = param.test_net_size() > 0;
    add_layers(open(named, named ? param.test_net(0) : "",
                    named ? NetParameter() : param.test_net_param(0)),
               false, true, &files);
  }
  files.base_dir = directory_of(files.net_path);
  return files;
}

std::string snapshot_prefix(const SolverParameter& param, const std::string& solver_path) {
  namespace fs = std::filesystem;
  const fs::path solver(solver_path);
  if (!param.has_snapshot_prefix() || param.snapshot_prefix().empty()) {
    return (solver.parent_path() / solver.stem()).string();
  }
  const fs::path prefix(param.snapshot_prefix());
  if (!prefix.has_filename() || fs::is_directory(prefix)) return (prefix / solver.stem()).string();
  return prefix.string();
}

}  // namespace resnet
