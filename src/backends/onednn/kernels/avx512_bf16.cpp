// AVX-512 with AVX512_BF16: activations in bfloat16, blocks of 16 channels.
#define RESNET_ISA_WIDTH 16
#include "backends/onednn/kernels/activations.inc"

namespace resnet::onednn {

const ActivationKernels<bf16>& avx512_bf16_kernels() {
  static constexpr ActivationKernels<bf16> kTable = activation_kernels<bf16>();
  return kTable;
}

}  // namespace resnet::onednn
