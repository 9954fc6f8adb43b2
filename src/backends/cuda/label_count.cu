// CountLabels, and the count of labels that SoftmaxLoss divides by.
#include "backends/cuda/label_count.h"

#include <algorithm>

#include "backends/cuda/block_sums.h"

namespace resnet::cuda {
namespace {

// dst: the number of labels that are not `ignored`; parts: one for each block.
template <class To>
__global__ void __launch_bounds__(kThreads)
    count_labels(const float* label, int64_t count, int64_t ignored, To* dst, int64_t* parts,
                 int* ticket) {
  int64_t counted = 0;
  for (int64_t i = RESNET_THREAD_INDEX; i < count; i += int64_t{gridDim.x} * kThreads) {
    if (static_cast<int64_t>(label[i]) != ignored) ++counted;
  }
  counted = add_block(counted);
  if (threadIdx.x == 0) parts[blockIdx.x] = counted;
  if (!is_last_block(ticket)) return;
  const volatile int64_t* const written = parts;
  counted = 0;
  for (unsigned b = threadIdx.x; b < gridDim.x; b += kThreads) counted += written[b];
  counted = add_block(counted);
  if (threadIdx.x == 0) dst[0] = static_cast<To>(counted);
}

}  // namespace

LabelCount::LabelCount(int64_t labels_, int64_t ignored_, ScratchPlan& scratch)
    : labels(labels_), ignored(ignored_) {
  constexpr int64_t kEach = 8;  // labels of a thread, before there are more blocks
  blocks = static_cast<unsigned>(
      std::clamp<int64_t>(labels / (kThreads * kEach), 1, int64_t{kMostBlocks}));
  parts = scratch.take<int64_t>(blocks);
}

template <class To>
void LabelCount::run(cudaStream_t stream, const float* label, std::byte* scratch, int* ticket,
                     To* dst) const {
  launch(stream, blocks, kThreads, count_labels<To>, label, labels, ignored, dst,
         reinterpret_cast<int64_t*>(scratch + parts), ticket);
}
template void LabelCount::run(cudaStream_t, const float*, std::byte*, int*, float*) const;
template void LabelCount::run(cudaStream_t, const float*, std::byte*, int*, int64_t*) const;

Implementation implement(const CountLabels& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_f32("label", desc.in[0]), .desc = desc};
  if (result.refusal.empty()) result.refusal = refuse_unless_f32("the count", desc.out[0]);
  if (!result.refusal.empty()) return result;
  use_plain(result);
  result.make = [ignored = op.ignore_label, count = desc.in[0].count()](const Device& device) {
    ScratchPlan scratch;
    const LabelCount labels(count, ignored, scratch);
    return own_kernel(
        "own", scratch.bytes(),
        [=, stream = device.stream(), ticket = make_ticket(device)](const KernelArgs& args) {
          labels.run(stream, args.in[0].as<float>(), args.scratch, ticket_of(ticket),
                     args.out[0].as<float>());
        });
  };
  return result;
}

}  // namespace resnet::cuda
