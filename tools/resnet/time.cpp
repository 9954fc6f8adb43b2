// `resnet time`: how fast a net computes on made-up images.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <numeric>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "report.h"
#include "resnet/base/json.h"
#include "resnet/base/random.h"
#include "resnet/net/trainer.h"
#include "setup.h"
#include "time_data.h"

DEFINE_int32(warmup, 3, "N: batches before the clock starts");
DEFINE_bool(per_layer, false, "also print the time of every step");
DEFINE_bool(
    data, false,
    "time reading, decoding and augmentation of images instead: of the net's data layer, or "
    "of the images at --source as the paper augments them");

namespace resnet::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kIterations = 10;  // without --iterations

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Images from a normal distribution; labels are all 0, which every net knows.
void fill_inputs(Net& net, Session& session) {
  uint64_t index = 0;
  for (const std::string& name : net.input_names(session)) {
    const Tensor input = net.input(session, name);
    if (input.desc.shape.rank() < 2) continue;
    Random random(0, index++, Use::test);
    std::generate_n(input.as<float>(), input.desc.count(),
                    [&] { return static_cast<float>(random.normal()); });
  }
}

// One step: a training iteration, or a forward pass.
void step(Net& net, Session& session, Phase phase) {
  if (phase == TEST) {
    net.forward(session);
    return;
  }
  net.forward_backward(session);
  net.update({.momentum = 0.9});  // at rate 0: as much work, but weights stay finite
}

double seconds_of_step(Net& net, Session& session, Phase phase) {
  const auto start = Clock::now();
  step(net, session, phase);
  net.backend().synchronize();
  return seconds_since(start);
}

struct Timing {
  double startup = 0;  // seconds to read the net, plan it and compile its kernels
  int64_t batch = 0;
  std::vector<double> seconds;          // of each step, sorted
  bool single_steps = true;             // false: `seconds` are means of chunks of steps
  std::vector<Net::StepTime> per_step;  // means over as many steps again
  double accounted = 0;                 // share of the time that per_step adds up to

  double median() const { return seconds[seconds.size() / 2]; }
  // The shortest time within which `percent` of the steps were done.
  double percentile(size_t percent) const {
    return seconds[(seconds.size() * percent + 99) / 100 - 1];
  }
  double images_per_s() const { return static_cast<double>(batch) / median(); }
};

// Runs the steps once more with a clock around each kernel.
void measure_layers(Net& net, Session& session, Phase phase, Timing* timing) {
  const auto count = static_cast<double>(timing->seconds.size());
  double total = 0, sum = 0;
  net.set_timing(true);
  for (size_t i = 0; i < timing->seconds.size(); ++i) {
    total += seconds_of_step(net, session, phase);
    const std::vector<Net::StepTime> times = net.step_times(session);
    if (timing->per_step.empty()) {
      timing->per_step = times;
      for (Net::StepTime& entry : timing->per_step) entry.seconds = 0;
    }
    for (size_t k = 0; k < times.size(); ++k) {
      timing->per_step[k].seconds += times[k].seconds / count;
      sum += times[k].seconds;
    }
  }
  net.set_timing(false);
  timing->accounted = sum / total;
  // What did not run: derived weights are made again only when weights have changed.
  std::erase_if(timing->per_step, [](const Net::StepTime& time) { return time.seconds == 0; });
}

// Training iterations as a run does them where the device works by itself; the mean of each chunk.
std::vector<double> seconds_of_chunks(Net& net, int iterations) {
  constexpr int kChunks = 5;
  Trainer trainer(net, {.longest_chunk = iterations});
  const std::vector<Update> updates(static_cast<size_t>(iterations), Update{.momentum = 0.9});
  std::vector<double> seconds;
  for (int chunk = -1; chunk < kChunks; ++chunk) {  // the first one records
    trainer.begin(updates);
    for (int i = 0; i < iterations; ++i) trainer.iterate([] {});
    trainer.end();
    const double mean = trainer.take(true)->seconds / iterations;
    if (chunk >= 0) seconds.push_back(mean);
  }
  return seconds;
}

Timing measure(Net& net, Session& session, Phase phase) {
  Timing timing;
  const int iterations = FLAGS_iterations > 0 ? FLAGS_iterations : kIterations;
  timing.batch = net.input(session, net.input_names(session).at(0)).desc.shape[0];
  for (int i = 0; i < FLAGS_warmup; ++i) step(net, session, phase);
  if (phase == TRAIN && net.backend().memory() == MemoryKind::device) {
    timing.single_steps = false;
    timing.seconds = seconds_of_chunks(net, iterations);
  } else {
    for (int i = 0; i < iterations; ++i) {
      timing.seconds.push_back(seconds_of_step(net, session, phase));
    }
  }
  std::sort(timing.seconds.begin(), timing.seconds.end());
  if (FLAGS_per_layer) measure_layers(net, session, phase, &timing);
  return timing;
}

void print_layers(const Timing& timing) {
  const double total =
      std::accumulate(timing.per_step.begin(), timing.per_step.end(), 0.0,
                      [](double sum, const Net::StepTime& t) { return sum + t.seconds; });
  std::printf("%-24s %-16s %-16s %10s %8s  %s\n", "layer", "op", "pass", "ms", "share", "kernel");
  for (const Net::StepTime& time : timing.per_step) {
    std::printf("%-24s %-16s %-16s %10.3f %6.1f %%  %s\n", time.layer.c_str(), time.op.c_str(),
                time.pass.c_str(), time.seconds * 1e3, 100 * time.seconds / total,
                time.impl.c_str());
  }
  std::printf("steps account for %.1f %% of the time\n", 100 * timing.accounted);
}

void print_json(const Net& net, const Session& session, const Timing& timing,
                const std::string& device) {
  Json json;
  json.set("images_per_s", timing.images_per_s())
      .set("ms_per_step", timing.median() * 1e3)
      .set("ms_per_step_best", timing.seconds.front() * 1e3)
      .set("batch", timing.batch)
      .set("iterations", timing.seconds.size())
      .set("peak_bytes", peak_bytes())
      .set("planned_bytes", planned_bytes(net, session))
      .set("parameters", parameter_count(net))
      .set("startup_s", timing.startup)
      .set("device", device);
  if (timing.single_steps) {
    json.set("latency_ms_p50", timing.percentile(50) * 1e3)
        .set("latency_ms_p99", timing.percentile(99) * 1e3);
  }
  if (FLAGS_per_layer) {
    Json layers = Json::array();
    for (const Net::StepTime& time : timing.per_step) {
      layers.push(Json()
                      .set("layer", time.layer)
                      .set("op", time.op)
                      .set("pass", time.pass)
                      .set("kernel", time.impl)
                      .set("ms", time.seconds * 1e3));
    }
    json.set("accounted_share", timing.accounted).set("layers", layers);
  }
  std::cout << json.str() << '\n';
}

ExitCode run(const Operands&) {
  if (FLAGS_batch < 0) throw ConfigError("--batch takes a number from 1");
  if (FLAGS_iterations < 0) throw ConfigError("--iterations takes a number from 1");
  if (FLAGS_data) return time_data();
  const Phase phase = parse_phase();
  if (FLAGS_warmup < 0) throw ConfigError("--warmup takes a number from 0");
  const auto start = Clock::now();
  const NetFile file = read_net_file(phase);
  const std::shared_ptr<Backend> backend = open_backend(file.device);
  const std::unique_ptr<Net> net = build_net(file, backend, phase, data_shapes(file, phase));
  Session& session = net->session(phase, FLAGS_batch);
  const double startup = seconds_since(start);
  net->initialize(0);
  fill_inputs(*net, session);
  Timing timing = measure(*net, session, phase);
  timing.startup = startup;
  if (FLAGS_json) {
    print_json(*net, session, timing, backend->description());
    return ExitCode::ok;
  }
  if (FLAGS_per_layer) print_layers(timing);
  std::printf("%s %s, batch %lld: %.1f images/s, %.2f ms a step (median of %zu; best %.2f ms)\n",
              net->param().name().c_str(), Phase_Name(phase).c_str(),
              static_cast<long long>(timing.batch), timing.images_per_s(), timing.median() * 1e3,
              timing.seconds.size(), timing.seconds.front() * 1e3);
  std::printf("read, planned and compiled in %.2f s; planned %s, held at most %s\n", timing.startup,
              bytes_text(planned_bytes(*net, session)).c_str(), bytes_text(peak_bytes()).c_str());
  return ExitCode::ok;
}

}  // namespace

extern const Command kTime = {
    .name = "time",
    .summary = "Measure the speed of training or inference on made-up images, or that of the data",
    .operands = "",
    .computes = true,
    .flags = {{"model"},
              {"solver", "FILE: the solver that names the net"},
              {"phase"},
              {"batch"},
              {"iterations", "N: steps to measure (default 10)"},
              {"warmup"},
              {"memory_budget"},
              {"fuse"},
              {"reuse"},
              {"layouts"},
              {"per_layer"},
              {"data"},
              {"source"},
              {"loader_threads"},
              {"input_shape"},
              {"stage"},
              {"level"},
              {"json"}},
    .examples =
        "resnet time --model=deploy.prototxt --batch=64\n"
        "resnet time --solver=solver.prototxt --phase=TRAIN --per_layer\n"
        "resnet time --data --source=photos",
    .run = run,
};

}  // namespace resnet::cli
