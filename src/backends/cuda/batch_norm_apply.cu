// The second launch of BatchNorm: normalises, adds, ReLU and its mask; backward the gradients of src and addend.
#include <algorithm>

#include "backends/cuda/batch_norm.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda::batch_norm {
namespace {

// dst = (src - mean) * scale + shift.
struct ForwardNumbers {
  float mean, scale, shift;
  ForwardNumbers() = default;
  __device__ __forceinline__ ForwardNumbers(const ForwardTask& t, int64_t group, int64_t c) {
    const Moments m = t.moments.of(group, c);
    mean = m.mean;
    scale = m.inverse_std * (t.gamma == nullptr ? 1.0F : t.gamma[c]);
    shift = (t.beta == nullptr ? 0.0F : t.beta[c]) - m.mean_rest * scale;
  }
  __device__ __forceinline__ float dst(float src) const { return (src - mean) * scale + shift; }
};

// diff_src = scale * (d - (src - mean) * slope - offset).
struct BackwardNumbers {
  float mean, scale, slope = 0, offset = 0;
  BackwardNumbers() = default;
  __device__ __forceinline__ BackwardNumbers(const BackwardTask& t, int64_t group, int64_t c) {
    const Moments m = t.moments.of(group, c);
    mean = m.mean;
    scale = m.inverse_std * (t.gamma == nullptr ? 1.0F : t.gamma[c]);
    if (t.coefficients == nullptr) return;
    offset = t.coefficients[2 * group * t.extent.channels + c];
    slope = t.coefficients[(2 * group + 1) * t.extent.channels + c];
  }
  __device__ __forceinline__ float diff_src(float d, float src) const {
    return scale * (d - offset - (src - mean) * slope);
  }
};

template <class T>
__device__ __forceinline__ void load(const T* p, float (&values)[kOctet]) {
  const auto pack = *reinterpret_cast<const Pack<T, kOctet>*>(p);
#pragma unroll
  for (int j = 0; j < kOctet; ++j) values[j] = to_float(pack.v[j]);
}

template <class T>
__device__ __forceinline__ void store(T* p, const float (&values)[kOctet]) {
  Pack<T, kOctet> pack;
#pragma unroll
  for (int j = 0; j < kOctet; ++j) pack.v[j] = from_float<T>(values[j]);
  *reinterpret_cast<Pack<T, kOctet>*>(p) = pack;
}

template <class T>
__device__ __forceinline__ void add_to(T* p, float value) {
  *p = from_float<T>(to_float(*p) + value);
}

// Stores, or adds to what is there.
template <class T>
__device__ __forceinline__ void put(T* p, const float (&values)[kOctet], bool add) {
  float sums[kOctet];
  if (add) load(p, sums);
#pragma unroll
  for (int j = 0; j < kOctet; ++j) sums[j] = add ? sums[j] + values[j] : values[j];
  store(p, sums);
}

// The addends of 8 channels of a pixel.
template <class T>
__device__ __forceinline__ void load_mapped(const AddendMap& map, const T* addend, int64_t row,
                                            uint32_t c, float (&values)[kOctet]) {
  const T* const p = addend + map.element(map.pixel(row), 0, 0) + c;
  if (map.channels % kOctet == 0) {
    if (c < map.channels) {
      load(p, values);
      return;
    }
#pragma unroll
    for (int j = 0; j < kOctet; ++j) values[j] = 0;
    return;
  }
#pragma unroll
  for (int j = 0; j < kOctet; ++j) values[j] = c + j < map.channels ? to_float(p[j]) : 0.0F;
}

// The gradient of one channel's addends around a pixel: d where it was added, 0 elsewhere.
template <class T>
__device__ __forceinline__ void put_mapped(const AddendMap& map, T* diff_addend, int64_t row,
                                           uint32_t c, float d, bool add) {
  if (c >= map.channels) return;
  const AddendMap::Pixel p = map.pixel(row);
  if (add) {
    add_to(diff_addend + map.element(p, 0, 0) + c, d);
    return;
  }
  for (uint32_t dy = 0; dy < map.stride && p.y + dy < map.height; ++dy) {
    for (uint32_t dx = 0; dx < map.stride && p.x + dx < map.width; ++dx) {
      diff_addend[map.element(p, dy, dx) + c] = from_float<T>(dy + dx == 0 ? d : 0.0F);
    }
  }
}

// The same for 8 channels, all of which the addend has.
template <class T>
__device__ __forceinline__ void put_octet_mapped(const AddendMap& map, T* diff_addend, int64_t row,
                                                 uint32_t c, const float (&d)[kOctet], bool add) {
  const AddendMap::Pixel p = map.pixel(row);
  put(diff_addend + map.element(p, 0, 0) + c, d, add);
  if (add) return;
  const float zeros[kOctet] = {};
  for (uint32_t dy = 0; dy < map.stride && p.y + dy < map.height; ++dy) {
    for (uint32_t dx = 0; dx < map.stride && p.x + dx < map.width; ++dx) {
      if (dy + dx != 0) store(diff_addend + map.element(p, dy, dx) + c, zeros);
    }
  }
}

// The octets of one group (blockIdx.y) that a thread works on: `threads` apart, which is a multiple of the
// octets in a row, so that all of them have the same channels.
struct Octets {
  int64_t first, count;
  uint32_t per_row, channel;
  __device__ __forceinline__ Octets(const Extent& e, int64_t thread)
      : first(static_cast<int64_t>(blockIdx.y) * e.rows * e.channels / kOctet),
        count(e.rows * e.channels / kOctet),
        per_row(static_cast<uint32_t>(e.channels / kOctet)),
        channel(static_cast<uint32_t>(thread) % per_row * kOctet) {}
};

template <class T>
__global__ void __launch_bounds__(kThreads) forward_octets(ForwardTask t, int64_t threads) {
  const int64_t thread = RESNET_THREAD_INDEX;
  if (thread >= threads) return;
  const Octets octets(t.extent, thread);
  ForwardNumbers numbers[kOctet];
#pragma unroll
  for (int j = 0; j < kOctet; ++j) {
    numbers[j] = ForwardNumbers(t, blockIdx.y, octets.channel + j);
  }
  const T* const src = reinterpret_cast<const T*>(t.src);
  const T* const addend = reinterpret_cast<const T*>(t.addend);
  for (int64_t o = thread; o < octets.count; o += threads) {
    const int64_t at = octets.first + o;
    float v[kOctet], added[kOctet] = {};
    load(src + at * kOctet, v);
    if (addend != nullptr) {
      if (t.map.stride == 0) {
        load(addend + at * kOctet, added);
      } else {
        load_mapped(t.map, addend, static_cast<uint32_t>(at / octets.per_row), octets.channel,
                    added);
      }
    }
    unsigned bits = 0;
#pragma unroll
    for (int j = 0; j < kOctet; ++j) {
      v[j] = numbers[j].dst(v[j]);
      if (addend != nullptr) v[j] += added[j];
      if (t.relu) v[j] = v[j] < 0 ? 0.0F : v[j];
      bits |= (to_float(from_float<T>(v[j])) > 0 ? 1u : 0u) << j;
    }
    store(reinterpret_cast<T*>(t.dst) + at * kOctet, v);
    if (t.mask != nullptr) t.mask[at] = static_cast<uint8_t>(bits);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward_octets(BackwardTask t, int64_t threads) {
  const int64_t thread = RESNET_THREAD_INDEX;
  if (thread >= threads) return;
  const Octets octets(t.extent, thread);
  BackwardNumbers numbers[kOctet];
#pragma unroll
  for (int j = 0; j < kOctet; ++j) {
    numbers[j] = BackwardNumbers(t, blockIdx.y, octets.channel + j);
  }
  T* const diff_addend = reinterpret_cast<T*>(t.diff_addend);
  const bool whole = t.map.channels % kOctet == 0;
  for (int64_t o = thread; o < octets.count; o += threads) {
    const int64_t at = octets.first + o;
    float d[kOctet], src[kOctet];
    load(reinterpret_cast<const T*>(t.diff_dst) + at * kOctet, d);
    load(reinterpret_cast<const T*>(t.src) + at * kOctet, src);
    const unsigned bits = t.mask == nullptr ? ~0u : t.mask[at];
#pragma unroll
    for (int j = 0; j < kOctet; ++j) {
      if ((bits >> j & 1u) == 0) d[j] = 0;
      src[j] = numbers[j].diff_src(d[j], src[j]);
    }
    put(reinterpret_cast<T*>(t.diff_src) + at * kOctet, src, t.add_src);
    if (diff_addend == nullptr) continue;
    if (t.map.stride == 0) {
      put(diff_addend + at * kOctet, d, t.add_addend);
      continue;
    }
    const auto row = static_cast<uint32_t>(at / octets.per_row);
    if (whole) {
      if (octets.channel < t.map.channels) {
        put_octet_mapped(t.map, diff_addend, row, octets.channel, d, t.add_addend);
      }
      continue;
    }
#pragma unroll
    for (int j = 0; j < kOctet; ++j) {
      put_mapped(t.map, diff_addend, row, octets.channel + j, d[j], t.add_addend);
    }
  }
}

// Where an element lies when octets do not fit rows.
struct Place {
  int64_t row, group;
  int64_t channel;
  __device__ __forceinline__ Place(const Extent& e, int64_t i)
      : row(i / e.channels), group(row / e.rows), channel(i - row * e.channels) {}
};

// Any number of channels. A thread has the elements of one byte of the mask.
template <class T>
__global__ void __launch_bounds__(kThreads) forward_elements(ForwardTask t, int64_t count) {
  const int64_t begin = RESNET_THREAD_INDEX * kOctet;
  if (begin >= count) return;
  const T* const addend = reinterpret_cast<const T*>(t.addend);
  unsigned bits = 0;
  for (int j = 0; j < kOctet && begin + j < count; ++j) {
    const int64_t i = begin + j;
    const Place at(t.extent, i);
    float v =
        ForwardNumbers(t, at.group, at.channel).dst(to_float(reinterpret_cast<const T*>(t.src)[i]));
    if (addend != nullptr && t.map.stride == 0) v += to_float(addend[i]);
    if (addend != nullptr && t.map.stride != 0 && at.channel < t.map.channels) {
      v += to_float(addend[t.map.element(t.map.pixel(at.row), 0, 0) + at.channel]);
    }
    if (t.relu) v = v < 0 ? 0.0F : v;
    const T dst = from_float<T>(v);
    bits |= (to_float(dst) > 0 ? 1u : 0u) << j;
    reinterpret_cast<T*>(t.dst)[i] = dst;
  }
  if (t.mask != nullptr) t.mask[begin / kOctet] = static_cast<uint8_t>(bits);
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward_elements(BackwardTask t, int64_t count) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= count) return;
  const Place at(t.extent, i);
  const bool kept = t.mask == nullptr || (t.mask[i / 8] >> (i % 8) & 1) != 0;
  const float d = kept ? to_float(reinterpret_cast<const T*>(t.diff_dst)[i]) : 0.0F;
  const float diff = BackwardNumbers(t, at.group, at.channel)
                         .diff_src(d, to_float(reinterpret_cast<const T*>(t.src)[i]));
  const auto write = [&](std::byte* tensor, float value, bool add) {
    T* const p = reinterpret_cast<T*>(tensor) + i;
    if (add) {
      add_to(p, value);
    } else {
      *p = from_float<T>(value);
    }
  };
  write(t.diff_src, diff, t.add_src);
  if (t.diff_addend == nullptr) return;
  if (t.map.stride == 0) {
    write(t.diff_addend, d, t.add_addend);
  } else {
    put_mapped(t.map, reinterpret_cast<T*>(t.diff_addend), at.row,
               static_cast<uint32_t>(at.channel), d, t.add_addend);
  }
}

// Threads of a group for kernels that work on octets: each does several when there are enough, so that it
// reads the channels' numbers for more than one.
int64_t octet_threads(const Extent& e) {
  constexpr int64_t kEnough = 132 * 1024;
  const int64_t per_row = e.channels / kOctet, count = e.rows * per_row;
  const int64_t each = std::clamp<int64_t>(count * e.groups / kEnough, 1, 8);
  return std::max<int64_t>((count + each - 1) / each / per_row, 1) * per_row;
}

dim3 octet_grid(const Extent& e, int64_t threads) {
  return {blocks_for(threads), static_cast<unsigned>(e.groups), 1};
}

}  // namespace

void run_forward(cudaStream_t stream, DType type, const ForwardTask& t) {
  with_type(type, [&]<class T>(T*) {
    if (t.extent.channels % kOctet == 0) {
      const int64_t threads = octet_threads(t.extent);
      launch(stream, octet_grid(t.extent, threads), kThreads, forward_octets<T>, t, threads);
      return;
    }
    const int64_t count = t.extent.groups * t.extent.rows * t.extent.channels;
    launch(stream, blocks_for((count + kOctet - 1) / kOctet), kThreads, forward_elements<T>, t,
           count);
  });
}

void run_backward(cudaStream_t stream, DType type, const BackwardTask& t) {
  with_type(type, [&]<class T>(T*) {
    if (t.extent.channels % kOctet == 0) {
      const int64_t threads = octet_threads(t.extent);
      launch(stream, octet_grid(t.extent, threads), kThreads, backward_octets<T>, t, threads);
      return;
    }
    const int64_t count = t.extent.groups * t.extent.rows * t.extent.channels;
    launch(stream, blocks_for(count), kThreads, backward_elements<T>, t, count);
  });
}

}  // namespace resnet::cuda::batch_norm
