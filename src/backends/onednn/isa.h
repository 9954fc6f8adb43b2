// Which instruction set this process computes with: chosen once, for oneDNN and our kernels alike.
#pragma once

#include <string>

#include "backends/onednn/kernels/table.h"

namespace resnet::onednn {

// The best set that the machine, RESNET_MAX_CPU_ISA (avx512, avx2, portable) and ONEDNN_MAX_CPU_ISA
// allow. Throws ConfigError for another value of RESNET_MAX_CPU_ISA.
const VectorKernels& vector_kernels();

// Channels in a block of the layout that oneDNN prefers on this machine: 16 or 8.
int preferred_block();

// Why activations cannot be bf16 here, or "": that takes AVX512_BF16, in oneDNN and our kernels alike.
std::string bf16_refusal();

// Kernels on activations stored as T (float or bf16). Throws InternalError for bf16 where
// bf16_refusal() is not empty.
template <class T>
const ActivationKernels<T>& activation_kernels();

// Kernels for tensors with blocks of `width` channels (1: row-major); null when there are none.
template <class T>
const BlockKernels<T>* block_kernels(int width);

// Of oneDNN: "2.6.3", and the set that it uses: "avx512_core_amx".
std::string library_version();
std::string library_isa();

// "oneDNN 2.6.3 (avx512_core_amx), own kernels avx512".
std::string isa_description();

}  // namespace resnet::onednn
