// What the launch of a kernel costs: an empty kernel, launched many times on a stream and replayed as often from
// a CUDA graph. Prints one JSON object, in microseconds a kernel:
//   stream_us, graph_us  until all have run (median of repetitions)
//   enqueue_us           of the host, to launch one on the stream
//   replay_us            of the host, to launch the whole graph
//
// usage: launch_cost [KERNELS [REPETITIONS]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

__global__ void nothing(int*) {}

double microseconds_of(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

// Medians of the time until enqueue() returns and until its work is done.
struct Cost {
  double enqueued_us, done_us;
};
template <class F>
Cost cost_of(cudaStream_t stream, int repetitions, const F& enqueue) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> enqueued, done;
  for (int i = 0; i < repetitions + 3; ++i) {
    const auto begin = Clock::now();
    enqueue();
    const auto returned = Clock::now();
    check(cudaStreamSynchronize(stream), "waiting for the kernels");
    if (i < 3) continue;  // to warm up
    enqueued.push_back(microseconds_of(returned - begin));
    done.push_back(microseconds_of(Clock::now() - begin));
  }
  const auto median = [](std::vector<double>& v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
  };
  return {median(enqueued), median(done)};
}

void measure(int kernels, int repetitions) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  int* const none = nullptr;
  const auto launch_all = [&] {
    for (int i = 0; i < kernels; ++i) launch(stream, 1, 32, nothing, none);
  };
  const Cost streamed = cost_of(stream, repetitions, launch_all);

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replayed = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
  launch_all();
  check(cudaStreamEndCapture(stream, &graph), "recording a graph");
  check(cudaGraphInstantiate(&replayed, graph, 0), "making a graph ready");
  const Cost graphed = cost_of(
      stream, repetitions, [&] { check(cudaGraphLaunch(replayed, stream), "launching a graph"); });
  check(cudaGraphExecDestroy(replayed), "freeing a graph");
  check(cudaGraphDestroy(graph), "freeing a graph");
  check(cudaStreamDestroy(stream), "freeing a stream");
  std::printf(
      "{\"kernels\": %d, \"stream_us\": %.3f, \"graph_us\": %.3f, \"enqueue_us\": %.3f, "
      "\"replay_us\": %.3f}\n",
      kernels, streamed.done_us / kernels, graphed.done_us / kernels,
      streamed.enqueued_us / kernels, graphed.enqueued_us);
}

}  // namespace
}  // namespace resnet::cuda

int main(int argc, char** argv) {
  const int kernels = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 51;
  if (kernels < 1 || repetitions < 1 || argc > 3) {
    std::fprintf(stderr, "usage: launch_cost [KERNELS [REPETITIONS]]\n");
    return 2;
  }
  try {
    resnet::cuda::measure(kernels, repetitions);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "launch_cost: %s\n", e.what());
    return 1;
  }
  return 0;
}
