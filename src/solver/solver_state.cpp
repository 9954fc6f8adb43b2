// Snapshots of a Solver and the way back.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "resnet/base/error.h"
#include "resnet/eval/weights.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/checksum.h"
#include "resnet/io/prototxt.h"
#include "resnet/solver/learning_rate.h"
#include "resnet/solver/solver.h"

namespace resnet {
namespace {

// What in a solver decides about the results of the iterations.
SolverParameter deciding(SolverParameter param) {
  param.set_window(static_cast<int32_t>(window_of(param)));
  if (param.lr_policy() != "poly" && param.lr_policy() != "cosine") param.clear_max_iter();
  param.clear_net();
  param.clear_net_param();
  param.clear_train_net();
  param.clear_train_net_param();
  param.clear_test_net();
  param.clear_test_net_param();
  param.clear_test_iter();
  param.clear_test_compute_loss();
  param.clear_test_initialization();
  if (!needs_test_error(param)) param.clear_test_interval();
  param.clear_display();
  param.clear_average_loss();
  param.clear_snapshot();
  param.clear_snapshot_prefix();
  param.clear_snapshot_diff();
  param.clear_snapshot_format();
  param.clear_snapshot_after_train();
  param.clear_solver_mode();
  param.clear_solver_type();
  param.clear_device_id();
  param.clear_random_seed();
  param.clear_debug_info();
  param.clear_layer_wise_reduce();
  param.clear_weights();
  param.clear_keep_snapshots();
  param.clear_keep_best();
  return param;
}

// A value of the run that a snapshot must agree with.
template <class T>
void require_same(const std::string& path, const char* what, const T& saved, const T& now,
                  const char* action) {
  if (saved == now) return;
  const auto text = [](const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      return value;
    } else {
      return std::to_string(value);
    }
  };
  throw ConfigError(path + ": was made with " + what + " " + text(saved) + ", but this run has " +
                    text(now) + "; " + action);
}

void check_finite(const NetParameter& model, int64_t iter) {
  for (const LayerParameter& layer : model.layer()) {
    for (const BlobProto& blob : layer.blobs()) {
      for (const float value : blob.data()) {
        if (std::isfinite(value)) continue;
        throw NonFiniteError("iteration " + std::to_string(iter) + ": the weights of layer '" +
                             layer.name() +
                             "' are not finite, no snapshot is written; resume from "
                             "an earlier one with a lower base_lr");
      }
    }
  }
}

}  // namespace

uint64_t Solver::config_digest() const {
  return checksum_of(format_prototxt(deciding(setup_.param)) + format_prototxt(net_.param()));
}

std::vector<std::string> Solver::kernel_choices() {
  const Program& program = net_.program(net_.session(TRAIN));
  std::set<std::string> choices;
  for (const auto* steps : {&program.prepare, &program.prologue, &program.forward,
                            &program.backward, &program.statistics}) {
    for (const Step& step : *steps) {
      const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
      std::string text = std::string(name_of(node.op)) + " " + name_of(node.pass) + " " +
                         resnet::describe(node.op);
      if (!node.in.empty()) text += " " + program.graph.value(node.in[0]).desc.shape.str();
      choices.insert(text + ": " + step.kernel->impl());
    }
  }
  return {choices.begin(), choices.end()};
}

NetParameter Solver::model() const {
  const Feed& shown = test_ ? *test_ : train_;
  NetParameter model = with_weights(net_, shown.preprocessing());
  check_finite(model, iter_);
  TrainingRecord& record = *model.mutable_training();
  record.set_iteration(iter_);
  if (!history_.tests.empty()) *record.mutable_test() = history_.tests.back();
  for (const auto& [blob, shape] : shown.shapes()) {
    if (shape.rank() != 4 || record.image_shape_size() > 0) continue;
    for (int i = 1; i < 4; ++i) record.add_image_shape(static_cast<int32_t>(shape[i]));
  }
  return model;
}

SolverState Solver::state() {
  SolverState state;
  state.set_iter(static_cast<int32_t>(iter_));
  for (size_t i = 0; i < net_.parameters().size(); ++i) {
    const HostArray momentum = net_.read_history(static_cast<int>(i));
    set_blob(state.add_history(), momentum.shape, momentum.data);
  }
  const SolverParameter& param = setup_.param;
  state.set_current_step(static_cast<int32_t>(schedule_steps(param, iter_, history_)));
  state.set_solver_type(param.type());
  state.set_seed(setup_.seed);
  for (const DataPosition& position : train_.positions()) *state.add_data_position() = position;
  history_.save(&state);
  if (best_error_) state.set_best_test_error(*best_error_);
  if (best_iter_ >= 0) state.set_best_iter(static_cast<int32_t>(best_iter_));
  state.mutable_recent_loss()->Assign(recent_loss_.begin(), recent_loss_.end());
  state.set_batch(static_cast<uint32_t>(train_.batch()));
  state.set_shards(static_cast<uint32_t>(net_.program(net_.session(TRAIN)).options.shards));
  state.set_iter_size(static_cast<uint32_t>(param.iter_size()));
  for (const std::string& choice : kernel_choices()) state.add_kernel_choice(choice);
  state.set_config_digest(config_digest());
  if (net_.program(net_.session(TRAIN)).options.math == DType::f16 && loss_scale_ > 0) {
    state.set_loss_scale(loss_scale_);
    state.set_loss_scale_steps(loss_scale_steps_);
  }
  state.set_device(net_.backend().name());
  return state;
}

SnapshotPaths Solver::snapshot() {
  const auto begin = std::chrono::steady_clock::now();
  SnapshotReport report;
  report.iteration = iter_;
  report.paths = snapshot_paths(setup_.prefix, iter_);
  notify(&Observer::on_snapshot_start, report.paths);
  SolverState saved = state();
  write_snapshot(setup_.prefix, model(), &saved, run_id_);
  last_snapshot_ = iter_;
  report.notes = remove_old_snapshots(setup_.prefix, iter_, setup_.param.keep_snapshots(),
                                      setup_.param.keep_best() ? best_iter_ : -1, run_id_);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  notify(&Observer::on_snapshot, report);
  return report.paths;
}

void Solver::check_resumable(const LoadedState& loaded) {
  const SolverState& state = loaded.state;
  const SolverParameter& param = setup_.param;
  const size_t parameters = net_.parameters().size();
  if (static_cast<size_t>(state.history_size()) != parameters) {
    throw DataError(loaded.path + ": has " + std::to_string(state.history_size()) +
                    " momentum blobs, but the net has " + std::to_string(parameters) +
                    " parameters; resume with the net that it was made with");
  }
  if (!loaded.ours) return;
  const char* same = "give the same value, or start anew with --weights";
  require_same(loaded.path, "solver type", state.solver_type(), param.type(), same);
  require_same<int64_t>(loaded.path, "batch size", state.batch(), train_.batch(), same);
  require_same<int64_t>(loaded.path, "iter_size", state.iter_size(), param.iter_size(), same);
  const int shards = net_.program(net_.session(TRAIN)).options.shards;
  require_same<int64_t>(loaded.path, "shards", state.shards(), shards, same);
  require_same<int64_t>(loaded.path, "seed", static_cast<int64_t>(state.seed()),
                        static_cast<int64_t>(setup_.seed), same);
  const int64_t window = history_.window;
  if (state.window_size() != state.iter() / window ||
      state.open_window().iterations() != state.iter() % window) {
    throw ConfigError(loaded.path + ": was made with another metrics window than " +
                      std::to_string(window) + " iterations; set `window` as it was");
  }
}

std::vector<std::string> Solver::restore(const LoadedState& loaded) {
  check_resumable(loaded);
  const SolverState& state = loaded.state;
  std::vector<std::string> notes = loaded.notes;
  load_weights(net_, read_caffemodel(loaded.model_path));
  for (int i = 0; i < state.history_size(); ++i) {
    const Parameter& parameter = net_.parameters()[static_cast<size_t>(i)];
    const std::vector<float> momentum = blob_values(state.history(i), loaded.path);
    if (static_cast<int64_t>(momentum.size()) != parameter.shape.count()) {
      throw DataError(loaded.path + ": the momentum of " + parameter.name() + " has " +
                      std::to_string(momentum.size()) + " values, the net needs " +
                      std::to_string(parameter.shape.count()) +
                      "; resume with the net that it was made with");
    }
    net_.write_history(i, momentum);
  }
  iter_ = state.iter();
  if (loaded.ours) {
    train_.restore({state.data_position().begin(), state.data_position().end()});
    history_.load(state);
    run_id_ = loaded.run_id;
    loss_scale_ = state.loss_scale();
    loss_scale_steps_ = state.loss_scale_steps();
    if (state.has_best_test_error()) best_error_ = state.best_test_error();
    if (state.has_best_iter()) best_iter_ = state.best_iter();
    recent_loss_.assign(state.recent_loss().begin(), state.recent_loss().end());
    if (state.device() != net_.backend().name()) {
      notes.push_back("the snapshot was made on " + state.device() + ", this run is on " +
                      net_.backend().name() + ": results will differ in the last digits");
    } else {
      const std::vector<std::string> saved(state.kernel_choice().begin(),
                                           state.kernel_choice().end());
      const std::vector<std::string> now = kernel_choices();
      const auto [was, is] = std::mismatch(saved.begin(), saved.end(), now.begin(), now.end());
      if (was != saved.end() || is != now.end()) {
        throw DeviceError(loaded.path + ": was made with other kernels: '" +
                          (was != saved.end() ? *was : "none") + "' there, '" +
                          (is != now.end() ? *is : "none") +
                          "' here; resume on an equal machine, or start anew with --weights");
      }
    }
    if (state.config_digest() != config_digest()) {
      notes.push_back(
          "the solver or the net differs from that of the snapshot: the run goes on, but "
          "not as it would have");
    }
  } else {
    train_.seek(iter_ * batch_images());
    history_.skip_to(iter_);
  }
  last_snapshot_ = iter_;
  resumed_from_ = loaded.path;
  return notes;
}

}  // namespace resnet
