// BatchNorm: one launch for the statistics (or sums of gradients), one that applies them.
#include "backends/cuda/batch_norm.h"

#include <memory>

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace batch_norm {
namespace {

// Positions of the operands of a pass; -1 where absent.
struct Operands {
  int diff_dst, src, mean, variance, factor, saved, gamma, beta, addend, mask;
  int out_saved, out_stats, out_mask, diff_gamma, diff_beta, diff_addend;

  Operands(const BatchNorm& op, Pass pass) {
    const bool forward = pass == Pass::forward, backward = pass == Pass::backward;
    int next = 0;
    const auto take = [&next](bool present) { return present ? next++ : -1; };
    diff_dst = take(backward);
    src = take(true);
    mean = take(op.global);
    variance = take(op.global);
    factor = take(op.global);
    saved = take(!op.global && !forward);
    gamma = take(op.gamma);
    beta = take(op.beta && !backward);
    addend = take(op.add && forward);
    mask = take(op.has_mask && backward);
    next = 1;  // output 0 is dst or diff_src
    out_saved = take(!op.global && forward);
    out_stats = take(!op.global && forward);
    out_mask = take(op.has_mask && forward);
    diff_gamma = take(op.gamma && backward);
    diff_beta = take(op.beta && backward);
    diff_addend = take(op.add && op.relu && backward);
  }
};

template <class T>
T* data(std::span<const Tensor> tensors, int index) {
  return index < 0 ? nullptr : tensors[static_cast<size_t>(index)].as<T>();
}

// All passes of one OpDesc.
class Runner {
 public:
  Runner(const BatchNorm& op, const OpDesc& desc)
      : op_(op),
        desc_(desc),
        at_(op, desc.pass),
        extent_(extent_of(op, desc.in[static_cast<size_t>(at_.src)].shape)),
        reduction_(extent_),
        type_(desc.out[0].dtype) {
    const bool backward = desc.pass == Pass::backward;
    reduces_ =
        backward ? !op.global || op.gamma || op.beta : desc.pass == Pass::forward && !op.global;
    if (reduces_) partials_ = scratch_.take<double>(reduction_.partials());
    if (backward && !op.global) {
      coefficients_ = scratch_.take<float>(2 * extent_.groups * extent_.channels);
    }
    if (op.add_stride != 0 && (at_.addend >= 0 || at_.diff_addend >= 0)) {
      const Shape& dst = desc.in[static_cast<size_t>(at_.src)].shape;
      const Shape& addend = at_.addend >= 0 ? desc.in[static_cast<size_t>(at_.addend)].shape
                                            : desc.out[static_cast<size_t>(at_.diff_addend)].shape;
      const auto dim = [](int64_t n) { return static_cast<uint32_t>(n); };
      map_ = {dim(op.add_stride), dim(addend[1]), dim(addend[2]),
              dim(addend[3]),     dim(dst[2]),    dim(dst[3])};
    }
  }

  int64_t scratch_bytes() const { return scratch_.bytes(); }
  int64_t ticket_bytes() const {
    return reduces_ ? reduction_.tiles * static_cast<int64_t>(sizeof(int)) : 0;
  }

  void run(cudaStream_t stream, const KernelArgs& args, int* tickets) const {
    const Workspace workspace{reinterpret_cast<double*>(args.scratch + partials_), tickets};
    if (desc_.pass == Pass::backward) {
      backward(stream, args, workspace);
    } else {
      forward(stream, args, workspace);
    }
  }

 private:
  static Extent extent_of(const BatchNorm& op, const Shape& src) {
    const Pixels pixels(src);
    const int64_t groups = op.group_size == 0 ? 1 : pixels.images / op.group_size;
    return {groups, groups == 0 ? 0 : pixels.rows() / groups, pixels.channels};
  }

  MomentSource moments(const KernelArgs& args) const {
    return {data<float>(args.in, at_.saved),
            data<float>(args.in, at_.mean),
            data<float>(args.in, at_.variance),
            data<float>(args.in, at_.factor),
            op_.eps,
            extent_.channels};
  }
  bool accumulates(int output) const {
    return output >= 0 && desc_.accumulates(static_cast<size_t>(output));
  }

  void forward(cudaStream_t stream, const KernelArgs& args, const Workspace& workspace) const {
    MomentSource source = moments(args);
    const auto* src = data<std::byte>(args.in, at_.src);
    if (reduces_) {
      auto* saved = data<float>(args.out, at_.out_saved);
      reduce_moments(stream, type_, reduction_,
                     {src, op_.eps, saved, data<float>(args.out, at_.out_stats)}, workspace);
      source.saved = saved;
    }
    run_forward(stream, type_,
                {extent_, source, data<float>(args.in, at_.gamma), data<float>(args.in, at_.beta),
                 src, data<std::byte>(args.in, at_.addend), map_, data<std::byte>(args.out, 0),
                 data<uint8_t>(args.out, at_.out_mask), op_.relu});
  }

  void backward(cudaStream_t stream, const KernelArgs& args, const Workspace& workspace) const {
    const MomentSource source = moments(args);
    const auto* diff_dst = data<std::byte>(args.in, at_.diff_dst);
    const auto* src = data<std::byte>(args.in, at_.src);
    const auto* mask = data<uint8_t>(args.in, at_.mask);
    auto* coefficients =
        op_.global ? nullptr : reinterpret_cast<float*>(args.scratch + coefficients_);
    if (reduces_) {
      reduce_gradients(stream, type_, reduction_,
                       {diff_dst, src, mask, source, coefficients,
                        data<float>(args.out, at_.diff_gamma), data<float>(args.out, at_.diff_beta),
                        accumulates(at_.diff_gamma), accumulates(at_.diff_beta)},
                       workspace);
    }
    run_backward(
        stream, type_,
        {extent_, source, data<float>(args.in, at_.gamma), coefficients, diff_dst, src, mask, map_,
         data<std::byte>(args.out, 0), data<std::byte>(args.out, at_.diff_addend), accumulates(0),
         accumulates(at_.diff_addend)});
  }

  BatchNorm op_;
  OpDesc desc_;
  Operands at_;
  Extent extent_;
  Reduction reduction_;
  DType type_;
  AddendMap map_;
  bool reduces_ = false;
  ScratchPlan scratch_;
  int64_t partials_ = 0, coefficients_ = 0;
};

std::string refusal_of(const OpDesc& desc, const Operands& at) {
  const TensorDesc& src = tensor(desc, in_slot(at.src));
  if (std::string reason = refuse_unless_real("src", src); !reason.empty()) return reason;
  constexpr int64_t kMost = int64_t{1} << 31;
  const Pixels pixels(src.shape);
  if (pixels.rows() >= kMost) return "2^31 pixels and more";
  const int64_t group = std::get<BatchNorm>(desc.op).group_size;
  if (group > 0 && pixels.images / group > kMostRowsOfGrid) return "more than 65535 groups";
  for (const int i : {at.mean, at.variance, at.factor, at.saved, at.gamma, at.beta}) {
    if (i < 0) continue;
    const std::string reason = refuse_unless_f32("a parameter", tensor(desc, in_slot(i)));
    if (!reason.empty()) return reason;
  }
  for (const int i : {at.out_saved, at.out_stats, at.diff_gamma, at.diff_beta}) {
    if (i < 0) continue;
    const std::string reason = refuse_unless_f32("a statistic", tensor(desc, out_slot(i)));
    if (!reason.empty()) return reason;
  }
  std::vector<Slot> images{out_slot(0)};
  if (at.diff_dst >= 0) images.push_back(in_slot(at.diff_dst));
  if (at.addend >= 0) images.push_back(in_slot(at.addend));
  if (at.diff_addend >= 0) images.push_back(out_slot(at.diff_addend));
  for (const Slot slot : images) {
    if (tensor(desc, slot).dtype != src.dtype) return "activations of different types";
  }
  return "";
}

}  // namespace
}  // namespace batch_norm

Implementation implement(const BatchNorm& op, const OpDesc& desc) {
  using namespace batch_norm;
  const Operands at(op, desc.pass);
  Implementation result{.refusal = refusal_of(desc, at), .desc = desc};
  if (!result.refusal.empty()) return result;
  std::vector<Slot> images{in_slot(at.src), out_slot(0)};
  if (at.diff_dst >= 0) images.push_back(in_slot(at.diff_dst));
  if (at.addend >= 0) images.push_back(in_slot(at.addend));
  if (at.diff_addend >= 0) images.push_back(out_slot(at.diff_addend));
  use_nhwc(result, images);
  if (!result.refusal.empty()) return result;

  result.in_place = {{0, 0}};  // dst over src, diff_src over diff_dst
  if (at.addend >= 0 && op.add_stride == 0) result.in_place.emplace_back(0, at.addend);
  if (at.diff_dst >= 0) {
    result.in_place.emplace_back(0, at.src);
    if (at.diff_addend >= 0 && op.add_stride == 0) {
      result.in_place.emplace_back(at.diff_addend, at.diff_dst);
    }
    for (const int output : {0, at.diff_gamma, at.diff_beta, at.diff_addend}) {
      if (output >= 0) result.accumulable.push_back(output);
    }
  }
  result.make = [op, desc = result.desc](const Device& device) {
    const Runner runner(op, desc);
    // Zero, and left so by each run: runs follow each other on one stream.
    const auto tickets = std::make_shared<Buffer>();
    if (runner.ticket_bytes() > 0) *tickets = device.allocate(runner.ticket_bytes());
    return own_kernel("own", runner.scratch_bytes(),
                      [runner, tickets, stream = device.stream()](const KernelArgs& args) {
                        runner.run(stream, args, reinterpret_cast<int*>(tickets->data()));
                      });
  };
  return result;
}

}  // namespace resnet::cuda
