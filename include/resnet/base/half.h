// Conversions of the two 16-bit floating-point types, which are values in memory only: arithmetic is
// done in float. They round to the nearest, ties to even. The same functions on host and device.
#pragma once

#include <cstdint>
#include <cstring>

#include "resnet/base/half_types.h"
#include "resnet/base/random.h"  // RESNET_HOST_DEVICE

#if defined(__CUDA_ARCH__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace resnet {

namespace half_bits {

RESNET_HOST_DEVICE inline uint32_t of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
RESNET_HOST_DEVICE inline float to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Of binary16, without the sign, when the value is not NaN.
RESNET_HOST_DEVICE inline uint32_t binary16(uint32_t magnitude) {
  if (magnitude >= 0x47800000u) return 0x7C00u;  // 65536 and more; from 65520 on by rounding below
  if (magnitude < 0x38800000u) {                 // below 2^-14: a multiple of 2^-24
    // Adding 0.5 aligns the mantissa so that its last bit is worth 2^-24; the hardware rounds.
    const float aligned = to_float(magnitude) + 0.5F;
    return of(aligned) - 0x3F000000u;
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return (magnitude - 0x38000000u + 0xFFFu + odd) >> 13;
}

}  // namespace half_bits

RESNET_HOST_DEVICE inline float to_float(float value) { return value; }
RESNET_HOST_DEVICE inline float to_float(bf16 value) {
  return half_bits::to_float(static_cast<uint32_t>(value.bits) << 16);
}
RESNET_HOST_DEVICE inline float to_float(f16 value) {
#if defined(__CUDA_ARCH__)
  __half_raw raw;
  raw.x = value.bits;
  return __half2float(__half(raw));
#else
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t rest = value.bits & 0x7FFFu;
  if (rest >= 0x7C00u) return half_bits::to_float(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
  if (rest < 0x400u) {  // zero or subnormal: a multiple of 2^-24
    const float value32 = static_cast<float>(rest) * (1.0F / 16777216.0F);
    return sign != 0 ? -value32 : value32;
  }
  return half_bits::to_float(sign | ((rest << 13) + 0x38000000u));
#endif
}

template <class T>
RESNET_HOST_DEVICE T from_float(float value);

template <>
RESNET_HOST_DEVICE inline float from_float<float>(float value) {
  return value;
}
template <>
RESNET_HOST_DEVICE inline bf16 from_float<bf16>(float value) {
#if defined(__CUDA_ARCH__)
  return bf16{__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#else
  const uint32_t bits = half_bits::of(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return bf16{0x7FFF};  // NaN, as the device gives it
  return bf16{static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
#endif
}
template <>
RESNET_HOST_DEVICE inline f16 from_float<f16>(float value) {
#if defined(__CUDA_ARCH__)
  return f16{__half_as_ushort(__float2half_rn(value))};
#else
  const uint32_t bits = half_bits::of(value);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return f16{0x7FFF};
  return f16{static_cast<uint16_t>((bits >> 16 & 0x8000u) | half_bits::binary16(magnitude))};
#endif
}

}  // namespace resnet
