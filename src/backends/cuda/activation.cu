// Relu and Dropout.
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"
#include "resnet/base/random.h"

namespace resnet::cuda {
namespace {

struct ReluForward {
  float slope;
  __device__ float operator()(float x) const { return x > 0 ? x : slope * x; }
};
struct ReluBackward {
  float slope;
  __device__ float operator()(float diff, float dst) const { return dst > 0 ? diff : slope * diff; }
};

constexpr int kByte = 8;  // elements that a byte of a mask is about

// The order of an image (C, H, W) in memory and in draws.
struct ImageOrder {
  int64_t channels, per_channel;  // channels innermost; one channel where both orders are the same
  int64_t size() const { return channels * per_channel; }
  // The place in row-major order of the element at place i in memory.
  __device__ int64_t logical(int64_t i) const {
    const Quotient pixel(i, channels);
    return pixel.remainder * per_channel + pixel.quotient;
  }
};

// The draw of an element is what Random(seed, position + image, Use::dropout, layer_id) gives for it.
__device__ float draw(const double* clock, int64_t image, uint32_t use, int64_t element) {
  const auto seed = static_cast<uint64_t>(clock[0]);
  const uint64_t position = static_cast<uint64_t>(clock[1]) + static_cast<uint64_t>(image);
  const Philox4 four =
      philox4x32(Philox4{{static_cast<uint32_t>(element / 4), use, static_cast<uint32_t>(position),
                          static_cast<uint32_t>(position >> 32)}},
                 static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  const auto i = static_cast<int>(element % 4);
  return to_unit_float(i == 0 ? four.v[0] : i == 1 ? four.v[1] : i == 2 ? four.v[2] : four.v[3]);
}

// A thread makes a byte of the mask.
template <class T>
__global__ void __launch_bounds__(kThreads)
    dropout_forward(const T* src, const double* clock, double ratio, uint32_t use, ImageOrder order,
                    int64_t image_size, int64_t count, T* dst, uint8_t* mask) {
  const int64_t byte = RESNET_THREAD_INDEX;
  if (byte * kByte >= count) return;
  const float scale = static_cast<float>(1 / (1 - ratio));
  unsigned bits = 0;
  for (int b = 0; b < kByte; ++b) {
    const int64_t i = byte * kByte + b;
    if (i >= count) break;
    const Quotient image(i, image_size);
    const float drawn = draw(clock, image.quotient, use, order.logical(image.remainder));
    const bool keep = static_cast<double>(drawn) >= ratio;
    bits |= static_cast<unsigned>(keep) << b;
    dst[i] = from_float<T>(keep ? to_float(src[i]) * scale : 0.0F);
  }
  mask[byte] = static_cast<uint8_t>(bits);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    dropout_backward(const T* diff_dst, const uint8_t* mask, float scale, bool accumulate,
                     int64_t count, T* diff_src) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<T>];
  piece.load(diff_dst, x);
  // kPackOf<T> divides kByte: one byte holds the bits of all elements.
  const unsigned bits = static_cast<unsigned>(mask[piece.begin / kByte]) >> (piece.begin % kByte);
  for (int e = 0; e < kPackOf<T>; ++e) x[e] = (bits >> e & 1u) != 0 ? x[e] * scale : 0.0F;
  piece.store(diff_src, x, accumulate);
}

}  // namespace

Implementation implement(const Relu& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  const auto slope = static_cast<float>(op.slope);
  const int64_t count = desc.in[0].count();
  result.accumulable = {0};
  if (desc.pass == Pass::forward) {
    use_same_layout(result, {in_slot(0), out_slot(0)});
    result.in_place = {{0, 0}};
    result.make = [=, type = desc.in[0].dtype, add = desc.accumulates(0)](const Device& device) {
      return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
        with_type(type, [&]<class T>(T*) {
          map(stream, ReluForward{slope}, args.in[0].as<const T>(), add, count,
              args.out[0].as<T>());
        });
      });
    };
    return result;
  }
  use_same_layout(result, {in_slot(1), in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}, {0, 1}};
  result.make = [=, type = desc.in[0].dtype, add = desc.accumulates(0)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        map(stream, ReluBackward{slope}, args.in[0].as<const T>(), args.in[1].as<const T>(), add,
            count, args.out[0].as<T>());
      });
    });
  };
  return result;
}

Implementation implement(const Dropout& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  // Both passes have to see the mask in one order: channels innermost always.
  use_nhwc(result, {in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}};
  const Pixels pixels(desc.in[0].shape);
  const int64_t count = pixels.count();
  if (desc.pass == Pass::backward) {
    result.accumulable = {0};
    const auto scale = static_cast<float>(1 / (1 - op.ratio));
    result.make = [=, type = desc.in[0].dtype, add = desc.accumulates(0)](const Device& device) {
      return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
        with_type(type, [&]<class T>(T*) {
          launch(stream, blocks_for_pieces<T>(count), kThreads, dropout_backward<T>,
                 args.in[0].as<T>(), args.in[1].as<uint8_t>(), scale, add, count,
                 args.out[0].as<T>());
        });
      });
    };
    return result;
  }
  const uint32_t use = static_cast<uint32_t>(Use::dropout) | (op.layer_id << 8);
  const ImageOrder order{pixels.channels, pixels.per_image};
  result.make = [=, type = desc.in[0].dtype, ratio = op.ratio](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        launch(stream, blocks_for((count + kByte - 1) / kByte), kThreads, dropout_forward<T>,
               args.in[0].as<T>(), args.in[1].as<double>(), ratio, use, order, order.size(), count,
               args.out[0].as<T>(), args.out[1].as<uint8_t>());
      });
    });
  };
  return result;
}

}  // namespace resnet::cuda
