#include "time_data.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "cli.h"
#include "flags.h"
#include "net_input.h"
#include "resnet/base/json.h"
#include "resnet/base/parallel.h"
#include "resnet/data/loader.h"
#include "setup.h"

namespace resnet::cli {
namespace {

constexpr double kSeconds = 2;  // of each measurement, without --iterations
constexpr int64_t kBatch = 64;  // images, without a net

struct Rate {
  int threads = 0;  // that prepare batches
  int64_t images = 0;
  double seconds = 0;   // of the clock
  StageSeconds stages;  // of all threads

  double images_per_s() const { return static_cast<double>(images) / seconds; }
};

// Section 3.4 of the paper.
TransformationParameter papers_augmentation() {
  TransformationParameter param;
  param.set_force_color(true);
  param.set_resize_shorter_min(256);
  param.set_resize_shorter_max(480);
  param.set_crop_size(224);
  param.set_mirror(true);
  param.set_color_std(0.1F);
  for (const float value : {104.0F, 117.0F, 123.0F}) param.add_mean_value(value);
  return param;
}

std::unique_ptr<Loader> open(LoaderOptions options) {
  const bool has_net = given("model") || given("solver");
  if (!has_net && !given("source")) {
    throw ConfigError("--data times the data layer of --model, or images at --source");
  }
  if (!has_net) {
    options.batch = FLAGS_batch > 0 ? FLAGS_batch : kBatch;
    return std::make_unique<Loader>(open_source(FLAGS_source, options.phase),
                                    Transformer(papers_augmentation(), options.phase, ""), options);
  }
  options.batch = FLAGS_batch;
  return open_net_loader(read_net_file(options.phase), options);
}

Rate measure(const LoaderOptions& options, int threads) {
  using Clock = std::chrono::steady_clock;
  set_num_threads(threads);
  const std::unique_ptr<Loader> loader = open(options);
  std::vector<float> data(static_cast<size_t>(loader->batch_shape().count()));
  const auto next = [&] {
    const int64_t count = loader->next(data.data(), nullptr);
    if (count > 0) return count;
    loader->seek(0);  // a test's end
    return loader->next(data.data(), nullptr);
  };
  // Once through, so that files are in memory and tables are made.
  const int64_t warm =
      std::max<int64_t>(1, std::min<int64_t>(loader->size() / loader->options().batch, 20));
  for (int64_t i = 0; i < warm; ++i) next();
  const StageSeconds before = loader->stage_seconds();
  Rate rate;
  rate.threads = options.loader_threads > 0 ? options.loader_threads : threads;
  const auto start = Clock::now();
  for (int i = 0; FLAGS_iterations > 0 ? i < FLAGS_iterations : rate.seconds < kSeconds; ++i) {
    rate.images += next();
    rate.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }
  const StageSeconds after = loader->stage_seconds();
  rate.stages = {after.read - before.read, after.decode - before.decode,
                 after.resize - before.resize, after.write - before.write,
                 after.copy - before.copy};
  return rate;
}

struct Stage {
  const char* name;
  double seconds;
};

std::vector<Stage> stages_of(const Rate& rate) {
  const StageSeconds& stages = rate.stages;
  return {{"read", stages.read},
          {"decode", stages.decode},
          {"resize", stages.resize},
          {"colour", stages.write},
          {"copy", stages.copy}};
}

void print(const Rate& one, const Rate& all) {
  double sum = 0;
  for (const Stage& stage : stages_of(one)) sum += stage.seconds;
  std::printf("%-8s %10s %8s\n", "stage", "ms/image", "share");
  for (const Stage& stage : stages_of(one)) {
    std::printf("%-8s %10.3f %6.1f %%\n", stage.name,
                1e3 * stage.seconds / static_cast<double>(one.images), 100 * stage.seconds / sum);
  }
  std::printf("1 core: %.1f images/s", one.images_per_s());
  if (all.threads > 1) {
    std::printf("; %d cores: %.1f images/s, %.2f times as many", all.threads, all.images_per_s(),
                all.images_per_s() / one.images_per_s());
  }
  std::printf("\n");
}

void print_json(const Rate& one, const Rate& all) {
  Json stages;
  for (const Stage& stage : stages_of(one)) {
    stages.set(stage.name, 1e3 * stage.seconds / static_cast<double>(one.images));
  }
  std::cout << Json()
                   .set("images_per_s", all.images_per_s())
                   .set("threads", all.threads)
                   .set("images_per_s_one_core", one.images_per_s())
                   .set("images", one.images)
                   .set("ms_per_image", stages)
                   .str()
            << '\n';
}

}  // namespace

ExitCode time_data() {
  LoaderOptions options;
  options.phase = given("phase") ? parse_phase() : TRAIN;
  options.shuffle = options.phase == TRAIN;
  options.loader_threads = FLAGS_loader_threads;
  options.time_stages = true;
  start_threads();
  const int threads = num_threads();
  const Rate all = measure(options, threads);
  options.loader_threads = std::min(FLAGS_loader_threads, 1);
  const Rate one = all.threads > 1 ? measure(options, 1) : all;
  FLAGS_json ? print_json(one, all) : print(one, all);
  return ExitCode::ok;
}

}  // namespace resnet::cli
