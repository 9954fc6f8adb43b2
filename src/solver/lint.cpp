#include "resnet/solver/lint.h"

#include <algorithm>
#include <set>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

void check_snapshots(const SolverParameter& param, int64_t iter, Lint* lint) {
  const bool periodic =
      param.snapshot() > 0 && iter / param.snapshot() < param.max_iter() / param.snapshot();
  if (periodic || param.snapshot_after_train() || iter >= param.max_iter()) return;
  lint->errors.push_back("no snapshot would ever be written: snapshot is " +
                         std::to_string(param.snapshot()) + ", max_iter " +
                         std::to_string(param.max_iter()) +
                         " and snapshot_after_train false; correct one of them");
}

void check_disk(const SolverParameter& param, const Net& net, const std::string& prefix,
                int64_t iter, Lint* lint) {
  constexpr int64_t kOverhead = 1 << 16;  // bytes of names, headers and history
  constexpr int64_t kMegabyte = 1 << 20;
  int64_t values = 0;
  for (const Parameter& parameter : net.parameters()) values += parameter.shape.count();
  const int64_t pair_bytes = 2 * (values * static_cast<int64_t>(sizeof(float)) + kOverhead);
  int64_t pairs = 1;
  if (param.snapshot() > 0) {
    pairs += std::max<int64_t>(param.max_iter() - iter, 0) / param.snapshot();
  }
  // One more is on disk while the oldest is still there; the best may be another.
  if (param.keep_snapshots() > 0) pairs = std::min<int64_t>(pairs, param.keep_snapshots() + 2);
  const int64_t free_bytes = prepare_directory_of(prefix);
  if (pairs * pair_bytes <= free_bytes) return;
  const std::string fact = directory_of(prefix) + " has " + std::to_string(free_bytes / kMegabyte) +
                           " MiB free, but " + std::to_string(pairs) + " snapshots need " +
                           std::to_string(pairs * pair_bytes / kMegabyte + 1) + " MiB";
  lint->errors.push_back(fact + "; set keep_snapshots, snapshot less often or elsewhere");
}

// Labels of some records over the whole set. Those that cannot be read are left to the run, which may skip
// them.
std::vector<int64_t> sampled_labels(const Loader& loader) {
  constexpr int64_t kSamples = 64;
  std::vector<int64_t> labels;
  const int64_t samples = std::min(kSamples, loader.size());
  for (int64_t s = 0; s < samples; ++s) {
    try {
      labels.push_back(loader.source().read(s * loader.size() / samples).label);
    } catch (const DataError&) {
    }
  }
  return labels;
}

void check_order(const Feed& train, Lint* lint) {
  for (int i = 0; i < train.size(); ++i) {
    const Loader& loader = train.loader(i);
    if (loader.options().shuffle || loader.size() <= loader.options().batch) continue;
    const std::vector<int64_t> labels = sampled_labels(loader);
    const size_t classes = std::set<int64_t>(labels.begin(), labels.end()).size();
    if (classes < 2 || !std::is_sorted(labels.begin(), labels.end())) continue;
    lint->warnings.push_back("layer '" + train.layer_name(i) + "': " + loader.source().name() +
                             " is sorted by label, so that batches hold one class; set "
                             "data_param { shuffle: true }");
  }
}

// A folder that lacks a class numbers those after it otherwise than the other folder does.
void check_class_names(const Feed& train, const Feed* test, Lint* lint) {
  if (test == nullptr || train.empty() || test->empty()) return;
  const DataSource& first = train.loader(0).source();
  const DataSource& second = test->loader(0).source();
  const std::vector<std::string> names = first.class_names(), others = second.class_names();
  for (size_t i = 0; i < std::min(names.size(), others.size()); ++i) {
    if (names[i] == others[i]) continue;
    lint->warnings.push_back("label " + std::to_string(i) + " is '" + names[i] + "' in " +
                             first.name() + ", but '" + others[i] + "' in " + second.name() +
                             "; test errors mean nothing unless these are the same class");
    return;
  }
}

void check_tests(const SolverParameter& param, const Feed* test, Lint* lint) {
  if (param.test_interval() > 0 && test == nullptr) {
    lint->errors.push_back(
        "test_interval is set, but the net has no layers with data for the "
        "phase TEST; add a Data layer with include { phase: TEST }, or remove "
        "test_interval");
  }
  if (test == nullptr || param.test_iter_size() == 0 || param.test_iter(0) <= 0) return;
  const int64_t images = param.test_iter(0) * test->batch();
  if (images < test->records()) {
    lint->warnings.push_back("test_iter " + std::to_string(param.test_iter(0)) + " x " +
                             std::to_string(test->batch()) + " images covers " +
                             std::to_string(images) + " of " + std::to_string(test->records()) +
                             " test records; remove test_iter to test on all");
  } else if (images >= test->records() + test->batch()) {
    lint->warnings.push_back("test_iter " + std::to_string(param.test_iter(0)) +
                             " asks for more than the " + std::to_string(test->records()) +
                             " test records; each is tested once");
  }
}

void check_averages(const SolverParameter& param, const Net& net, Lint* lint) {
  constexpr double kTimeConstants = 10, kUsualFraction = 0.9;
  for (const LayerParameter& layer : net.param().layer()) {
    if (layer.type() != "BatchNorm") continue;
    const double fraction = layer.batch_norm_param().moving_average_fraction();
    if (fraction >= 1 || param.max_iter() >= kTimeConstants / (1 - fraction)) continue;
    const bool usual_is_fast = param.max_iter() >= kTimeConstants / (1 - kUsualFraction);
    char text[256];
    std::snprintf(text, sizeof text,
                  "layer '%s': moving_average_fraction %g is slow for max_iter %d, so that tests "
                  "use early statistics; %srun bn-stats after training",
                  layer.name().c_str(), fraction, param.max_iter(),
                  usual_is_fast ? "set it to 0.9, or " : "");
    lint->warnings.emplace_back(text);
    return;  // one line for all layers
  }
}

}  // namespace

Lint lint(const SolverParameter& param, const Net& net, const Feed& train, const Feed* test,
          const std::string& prefix, int64_t iter) {
  Lint lint;
  check_snapshots(param, iter, &lint);
  check_disk(param, net, prefix, iter, &lint);
  check_order(train, &lint);
  check_class_names(train, test, &lint);
  check_tests(param, test, &lint);
  check_averages(param, net, &lint);
  return lint;
}

}  // namespace resnet
