#include "backends/onednn/isa.h"

#include <cstdlib>
#include <iterator>
#include <oneapi/dnnl/dnnl.hpp>

#include "resnet/base/error.h"

namespace resnet::onednn {
namespace {

enum class Level { portable, avx2, avx512 };
constexpr const char* kNames[] = {"portable", "avx2", "avx512"};

Level requested_level() {
  const char* text = std::getenv("RESNET_MAX_CPU_ISA");
  if (text == nullptr || *text == '\0') return Level::avx512;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (std::string(text) == kNames[i]) return static_cast<Level>(i);
  }
  throw ConfigError("RESNET_MAX_CPU_ISA=" + std::string(text) +
                    " is unknown; use avx512, avx2 or portable");
}

bool has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (bits & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}

// What oneDNN uses after being held to `limit`. (It can be lowered only before its first use, so a
// process that used oneDNN before us keeps a higher level there; layouts still agree, see below.)
Level library_level(Level limit) {
#ifdef RESNET_X86_KERNELS
  if (limit == Level::avx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  if (limit == Level::portable) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
  if (has(dnnl::cpu_isa::avx512_core)) return Level::avx512;
  if (has(dnnl::cpu_isa::avx2)) return Level::avx2;
#endif
  (void)limit;
  return Level::portable;
}

const VectorKernels& kernels_at(Level level) {
#ifdef RESNET_X86_KERNELS
  if (level == Level::avx512) return avx512_kernels();
  if (level == Level::avx2 && __builtin_cpu_supports("fma")) return avx2_kernels();
#endif
  (void)level;
  return portable_kernels();
}

struct Choice {
  Level library, own;
  Choice() {
    const Level limit = requested_level();
    library = library_level(limit);
    own = library < limit ? library : limit;
  }
};

const Choice& choice() {
  static const Choice chosen;
  return chosen;
}

const char* library_isa_name() {
  using Isa = dnnl::cpu_isa;
  constexpr std::pair<Isa, const char*> kIsas[] = {{Isa::avx512_core_amx, "avx512_core_amx"},
                                                   {Isa::avx512_core_bf16, "avx512_core_bf16"},
                                                   {Isa::avx512_core_vnni, "avx512_core_vnni"},
                                                   {Isa::avx512_core, "avx512_core"},
                                                   {Isa::avx2_vnni, "avx2_vnni"},
                                                   {Isa::avx2, "avx2"},
                                                   {Isa::avx, "avx"},
                                                   {Isa::sse41, "sse41"}};
  for (const auto& [isa, name] : kIsas) {
    if (has(isa)) return name;
  }
  return "generic";
}

}  // namespace

const VectorKernels& vector_kernels() { return kernels_at(choice().own); }

int preferred_block() { return choice().library == Level::avx512 ? 16 : 8; }

std::string bf16_refusal() {
  const bool library = has(dnnl::cpu_isa::avx512_core_bf16);
  if (library && choice().own == Level::avx512) return "";
  return std::string("type bf16 needs AVX512_BF16; this machine computes with ") +
         (library ? vector_kernels().isa : library_isa_name());
}

template <>
const ActivationKernels<float>& activation_kernels() {
  return vector_kernels().activations;
}

template <>
const ActivationKernels<bf16>& activation_kernels() {
#ifdef RESNET_X86_KERNELS
  if (bf16_refusal().empty()) return avx512_bf16_kernels();
#endif
  throw InternalError(bf16_refusal());
}

template <>
const BlockKernels<float>* block_kernels(int width) {
  if (width == 1) return &activation_kernels<float>().plain;
  // With AVX-512 some grouped convolutions still use blocks of 8.
  for (const Level level : {choice().own, Level::avx2, Level::portable}) {
    if (level > choice().own) continue;
    const BlockKernels<float>& blocked = kernels_at(level).activations.blocked;
    if (blocked.width == width) return &blocked;
  }
  return nullptr;
}

template <>
const BlockKernels<bf16>* block_kernels(int width) {
  const ActivationKernels<bf16>& kernels = activation_kernels<bf16>();
  if (width == 1) return &kernels.plain;
  return width == kernels.blocked.width ? &kernels.blocked : nullptr;
}

std::string library_version() {
  const dnnl_version_t& v = *dnnl::version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

std::string library_isa() { return library_isa_name(); }

std::string isa_description() {
  return "oneDNN " + library_version() + " (" + library_isa() + "), own kernels " +
         vector_kernels().isa;
}

}  // namespace resnet::onednn
