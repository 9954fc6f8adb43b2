#include "faulty_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace resnet::testing {
namespace {

class FaultyKernel final : public Kernel {
 public:
  FaultyKernel(std::shared_ptr<const Kernel> good, const OpDesc& desc, Fault fault)
      : good_(std::move(good)), desc_(desc), fault_(fault) {}
  std::string impl() const override { return "faulty"; }
  int64_t scratch_bytes() const override { return good_->scratch_bytes(); }

  void run(const KernelArgs& args) const override {
    const Tensor& out = args.out[0];
    const int64_t last = out.desc.count() - 1, size = size_of(out.desc.dtype);
    std::byte* element = out.data + last * size;
    const std::vector<std::byte> before(element, element + size);
    if (fault_ == Fault::overwrites) {
      for (size_t i = 0; i < args.out.size(); ++i) {
        if (desc_.accumulates(i)) clear(args.out[i]);
      }
    }
    if (fault_ == Fault::wrong_in_place && !args.in.empty() && args.in[0].data == out.data) {
      clear(out);
    }
    good_->run(args);
    switch (fault_) {
      case Fault::wrong_element:
        if (out.desc.dtype == DType::f32) out.as<float>()[last] += 1e-3f * largest(out);
        if (out.desc.dtype == DType::bf16 || out.desc.dtype == DType::f16) {
          out.as<uint16_t>()[last] ^= 0x4000;  // the first bit of the exponent
        }
        if (out.desc.dtype == DType::f64) {
          out.as<double>()[last] += 1e-2 + 1e-3 * std::abs(out.as<double>()[last]);
        }
        break;
      case Fault::missing_element:
        std::copy(before.begin(), before.end(), element);
        break;
      case Fault::beyond_end:
        out.data[out.desc.bytes()] = std::byte{0};
        break;
      case Fault::writes_input:
        if (!args.in.empty()) args.in[0].data[0] ^= std::byte{1};
        break;
      default:
        break;
    }
  }

 private:
  static void clear(const Tensor& t) {
    std::memset(t.data, 0, static_cast<size_t>(t.desc.bytes()));
  }
  static float largest(const Tensor& t) {
    float most = 1e-3f;
    for (int64_t i = 0; i < t.desc.count(); ++i) most = std::max(most, std::abs(t.as<float>()[i]));
    return most;
  }

  std::shared_ptr<const Kernel> good_;
  OpDesc desc_;
  Fault fault_;
};

class FaultyBackend final : public Backend {
 public:
  explicit FaultyBackend(Fault fault) : good_(make_backend("reference")), fault_(fault) {}
  std::string name() const override { return "faulty"; }
  std::string description() const override { return "reference with a planted fault"; }
  Support supports(const OpDesc& desc) const override { return good_->supports(desc); }
  OpDesc resolve(const OpDesc& desc) const override { return good_->resolve(desc); }
  std::shared_ptr<const Kernel> compile(const OpDesc& desc) override {
    return std::make_shared<FaultyKernel>(good_->compile(desc), desc, fault_);
  }
  int64_t bytes(const TensorDesc& desc) const override { return good_->bytes(desc); }
  Buffer allocate(int64_t bytes) override { return good_->allocate(bytes); }
  void copy(const Tensor& dst, const Tensor& src) override { good_->copy(dst, src); }

 private:
  std::unique_ptr<Backend> good_;
  Fault fault_;
};

}  // namespace

std::unique_ptr<Backend> make_faulty_backend(Fault fault) {
  return std::make_unique<FaultyBackend>(fault);
}

}  // namespace resnet::testing
