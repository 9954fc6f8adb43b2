// `resnet plan`: what a net becomes on the device.
#include <iostream>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "report.h"
#include "resnet/base/json.h"
#include "setup.h"

namespace resnet::cli {
namespace {

// How data layers bring their images to the device, where there are data.
void print_ways(const NetFile& file, Phase phase, Net& net, Session& session) {
  if (net.backend().memory() != MemoryKind::device || !FLAGS_input_shape.empty()) return;
  Feed feed(file.net, file.feed_options(phase));
  const std::vector<std::string> ways = feed.ways(net, session);
  for (int i = 0; i < feed.size(); ++i) {
    std::cout << "data layer '" << feed.layer_name(i) << "': " << ways[static_cast<size_t>(i)]
              << '\n';
  }
}

ExitCode run(const Operands&) {
  const Phase phase = parse_phase();
  const NetFile file = read_net_file(phase);
  const std::shared_ptr<Backend> backend = open_backend(file.device);
  const std::unique_ptr<Net> net = build_net(file, backend, phase, data_shapes(file, phase));
  Session& session = net->session(phase, FLAGS_batch);
  const Program& program = net->program(session);
  if (FLAGS_json) {
    std::cout << Json()
                     .set("net", net->param().name())
                     .set("phase", Phase_Name(phase))
                     .set("planned_bytes", planned_bytes(*net, session))
                     .set("arena_bytes", program.arena_bytes)
                     .set("live_bytes", program.live_bytes)
                     .set("scratch_bytes", program.scratch_bytes)
                     .set("persistent_bytes", program.persistent_bytes)
                     .set("derived_bytes", program.derived_bytes)
                     .set("parameter_bytes", net->parameter_bytes())
                     .set("parameters", parameter_count(*net))
                     .set("steps", program.prepare.size() + program.prologue.size() +
                                       program.forward.size() + program.backward.size() +
                                       program.statistics.size())
                     .set("recomputed", program.recomputed)
                     .set("device", backend->description())
                     .str()
              << '\n';
    return ExitCode::ok;
  }
  print_ways(file, phase, *net, session);
  std::cout << describe(program) << "weights, gradients and momenta "
            << bytes_text(net->parameter_bytes()) << "; all together "
            << bytes_text(planned_bytes(*net, session)) << '\n';
  return ExitCode::ok;
}

}  // namespace

extern const Command kPlan = {
    .name = "plan",
    .summary = "Print the steps, kernels, layouts and bytes that a net is planned to",
    .operands = "",
    .computes = true,
    .flags = {{"model"},
              {"solver", "FILE: the solver that names the net"},
              {"phase"},
              {"batch"},
              {"memory_budget"},
              {"fuse"},
              {"reuse"},
              {"layouts"},
              {"input_shape"},
              {"stage"},
              {"level"},
              {"json"}},
    .examples =
        "resnet plan --model=deploy.prototxt\n"
        "resnet plan --model=train_val.prototxt --phase=TRAIN --batch=128 --input_shape=3,32,32",
    .run = run,
};

}  // namespace resnet::cli
