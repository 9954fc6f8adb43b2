// What this machine could reach with a net at best, from rates that are measured here and now: each convolution of
// the net by itself, the fastest that oneDNN has for a pass (direct or Winograd) on blocked layouts, and memory's
// bandwidth for what BatchNorm with addition and ReLU reads and writes. Pooling, the classifier, the loss and the
// update are left out. Prints JSON.
// usage: ceiling --model=FILE --phase=TRAIN|TEST --input_shape=C,H,W --batch=N [--math=FLOAT32|BFLOAT16] [--threads=N]
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench.h"
#include "resnet/backend/backend.h"
#include "resnet/base/json.h"
#include "resnet/base/parallel.h"
#include "resnet/io/prototxt.h"
#include "resnet/plan/program.h"

namespace resnet::bench {
namespace {

using Dims = dnnl::memory::dims;
using MemoryDesc = dnnl::memory::desc;
using dnnl::algorithm;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// The net as it is planned for the CPU in float32.
Program plan_net(const Options& options) {
  int64_t c = 0, h = 0, w = 0;
  const std::string& shape = options.at("input_shape");
  if (std::sscanf(shape.c_str(), "%ld,%ld,%ld", &c, &h, &w) != 3) {
    throw ConfigError("--input_shape takes C,H,W, not '" + shape + "'");
  }
  const int64_t batch = number(options, "batch");
  GraphOptions graph;
  if (!Phase_Parse(options.at("phase"), &graph.phase))
    throw ConfigError("--phase takes TRAIN or TEST");
  graph.input_shapes = {{"data", {batch, c, h, w}}, {"label", {batch}}};
  PlanOptions plan_options;
  plan_options.backward = graph.phase == TRAIN;
  const std::unique_ptr<Backend> backend = make_backend("cpu");
  PlanContext context;
  context.backend = backend.get();
  return plan(build_graph(read_net_prototxt(options.at("model")), graph), plan_options, context);
}

// A convolution in one pass, wherever in the net it occurs.
struct Problem {
  Convolution op;
  Pass pass = Pass::forward;
  Shape src, dst;

  double operations() const {
    const int64_t inputs = src[1] / op.groups * op.kernel[0] * op.kernel[1];
    return 2.0 * static_cast<double>(dst.count() * inputs);
  }
  std::string str() const { return describe(Op(op)) + " " + name_of(pass) + " " + src.str(); }
};

Problem problem_of(const Convolution& op, const Node& node, const Graph& graph) {
  const Shape& in = graph.value(node.in[0]).desc.shape;
  const Shape& out = graph.value(node.out[0]).desc.shape;
  if (node.pass == Pass::backward_data) return {op, node.pass, out, in};
  if (node.pass == Pass::forward) return {op, node.pass, in, out};
  return {op, node.pass, in, graph.value(node.in[1]).desc.shape};
}

// One of oneDNN's ways to compute it.
struct Timing {
  double seconds = 0;
  std::string kernel;
};

struct Arguments {
  dnnl::primitive primitive;
  std::string kernel;
  std::vector<std::pair<int, MemoryDesc>> memory;
};

Arguments prepare(const Problem& p, algorithm how, dnnl::memory::data_type type) {
  using dnnl::memory;
  const auto any = [](const Dims& dims, memory::data_type t) {
    return MemoryDesc(dims, t, memory::format_tag::any);
  };
  Dims weights{p.op.num_output, p.src[1] / p.op.groups, p.op.kernel[0], p.op.kernel[1]};
  if (p.op.groups > 1) {
    weights[0] /= p.op.groups;
    weights.insert(weights.begin(), p.op.groups);
  }
  const Dims strides{p.op.stride[0], p.op.stride[1]}, pads{p.op.pad[0], p.op.pad[1]},
      dilates{p.op.dilation[0] - 1, p.op.dilation[1] - 1};
  const MemoryDesc src = any(p.src.dims(), type), dst = any(p.dst.dims(), type),
                   w = any(weights, type),
                   bias = p.op.bias ? any({p.op.num_output}, memory::data_type::f32) : MemoryDesc();
  dnnl::primitive_attr attributes;
  dnnl::post_ops steps;
  if (p.op.sum) steps.append_sum();
  if (p.op.relu) steps.append_eltwise(1.0F, algorithm::eltwise_relu, 0.0F, 0.0F);
  attributes.set_post_ops(steps);
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, how, src, w, bias, dst, strides, dilates, pads, pads},
      attributes, engine());
  if (p.pass == Pass::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc pd(
        {how, src, w, dst, strides, dilates, pads, pads}, engine(), forward);
    return {dnnl::convolution_backward_data(pd),
            pd.impl_info_str(),
            {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
             {DNNL_ARG_WEIGHTS, pd.weights_desc()},
             {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}}};
  }
  if (p.pass == Pass::backward_weights) {
    const dnnl::convolution_backward_weights::primitive_desc pd(
        {how, src, any(weights, memory::data_type::f32), bias, dst, strides, dilates, pads, pads},
        engine(), forward);
    return {dnnl::convolution_backward_weights(pd),
            pd.impl_info_str(),
            {{DNNL_ARG_SRC, pd.src_desc()},
             {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
             {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()},
             {DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc()}}};
  }
  return {dnnl::convolution_forward(forward),
          forward.impl_info_str(),
          {{DNNL_ARG_SRC, forward.src_desc()},
           {DNNL_ARG_WEIGHTS, forward.weights_desc()},
           {DNNL_ARG_BIAS, forward.bias_desc()},
           {DNNL_ARG_DST, forward.dst_desc()}}};
}

// Nothing where oneDNN cannot.
std::optional<Timing> time_convolution(const Problem& p, algorithm how,
                                       dnnl::memory::data_type type) {
  try {
    const Arguments found = prepare(p, how, type);
    std::unordered_map<int, dnnl::memory> memory;
    for (const auto& [argument, md] : found.memory) {
      if (md.get_size() == 0) continue;
      const dnnl::memory tensor(md, engine());
      std::memset(tensor.get_data_handle(), 0x3c, md.get_size());  // 0.01 in both types
      memory.emplace(argument, tensor);
    }
    dnnl::stream stream(engine());
    const double seconds = best_seconds(
        [&] {
          found.primitive.execute(stream, memory);
          stream.wait();
        },
        0.1);
    return Timing{seconds, found.kernel};
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_unimplemented) return std::nullopt;
    throw DeviceError("oneDNN: " + p.str() + ": " + e.what());
  }
}

// Bytes per second of a = b + s c, two reads and a write, far beyond any cache.
double bandwidth() {
  constexpr int64_t kCount = int64_t{1} << 26, kGrain = 1 << 16;
  const Buffer memory = host_buffer(3 * kCount * static_cast<int64_t>(sizeof(float)));
  float* a = reinterpret_cast<float*>(memory.data());
  const float *b = a + kCount, *c = b + kCount;
  const double seconds = best_seconds([&] {
    parallel_for(kCount, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) a[i] = b[i] + 0.5F * c[i];
    });
  });
  return static_cast<double>(memory.bytes()) / seconds;
}

// Elements that BatchNorm moves. Forward reads src twice (statistics come first) and writes dst; backward reads src and
// the gradient twice and writes one. An addend is read once; in backward its gradient is written, and that
// of dst comes in two parts, as dst goes to the next block and around it.
int64_t elements_moved(const BatchNorm& op, Pass pass, int64_t count) {
  if (pass == Pass::forward) return count * (op.add ? 4 : 3);
  return count * (op.add ? 7 : 5);
}

struct Work {
  std::map<std::string, std::pair<Problem, int>> convolutions;  // with how often each occurs
  int64_t elements = 0;                                         // moved by BatchNorms
};

Work work_of(const Program& program) {
  Work work;
  for (const auto* section : {&program.forward, &program.backward}) {
    for (const Step& step : *section) {
      const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
      if (const auto* conv = std::get_if<Convolution>(&node.op)) {
        const Problem problem = problem_of(*conv, node, program.graph);
        auto& entry = work.convolutions[problem.str()];
        entry.first = problem;
        ++entry.second;
      } else if (const auto* bn = std::get_if<BatchNorm>(&node.op)) {
        const int64_t count = program.graph.value(node.in[0]).desc.shape.count();
        work.elements += elements_moved(*bn, node.pass, count);
      }
    }
  }
  return work;
}

void run(int argc, char** argv) {
  const Options options = parse_options(argc, argv,
                                        {{"model", ""},
                                         {"phase", "TRAIN"},
                                         {"input_shape", ""},
                                         {"batch", "1"},
                                         {"math", "FLOAT32"},
                                         {"threads", "0"}},
                                        "the head of tools/bench/ceiling.cpp");
  const std::string& math = options.at("math");
  const bool low = math == "BFLOAT16";
  if (!low && math != "FLOAT32") throw ConfigError("--math takes FLOAT32 or BFLOAT16, not " + math);
  const std::string threads =
      setup_threads(static_cast<int>(number(options, "threads")), Bind::cores);
  const Work work = work_of(plan_net(options));
  const double bytes_per_s = bandwidth();
  const double memory_s = static_cast<double>(work.elements * (low ? 2 : 4)) / bytes_per_s;
  double direct_s = 0, fastest_s = 0;
  Json list = Json::array();
  for (const auto& [name, entry] : work.convolutions) {
    const auto& [problem, count] = entry;
    const auto type = low ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
    const auto direct = time_convolution(problem, algorithm::convolution_direct, type);
    if (!direct)
      throw DeviceError(std::string("oneDNN cannot compute ").append(name) + " in " + math);
    const auto winograd = time_convolution(problem, algorithm::convolution_winograd, type);
    const Timing& best = winograd && winograd->seconds < direct->seconds ? *winograd : *direct;
    direct_s += count * direct->seconds;
    fastest_s += count * best.seconds;
    list.push(Json()
                  .set("convolution", name)
                  .set("count", count)
                  .set("ms", best.seconds * 1e3)
                  .set("gflop_per_s", problem.operations() / best.seconds * 1e-9)
                  .set("kernel", best.kernel));
  }
  const auto batch = static_cast<double>(number(options, "batch"));
  Json json;
  json.set("images_per_s", batch / (fastest_s + memory_s))
      .set("images_per_s_direct", batch / (direct_s + memory_s))
      .set("convolutions_ms", fastest_s * 1e3)
      .set("memory_ms", memory_s * 1e3)
      .set("gb_per_s", bytes_per_s * 1e-9)
      .set("threads", threads)
      .set("convolutions", list);
  std::printf("%s\n", json.str().c_str());
}

int checked_run(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "ceiling: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}

}  // namespace
}  // namespace resnet::bench

int main(int argc, char** argv) { return resnet::bench::checked_run(argc, argv); }
