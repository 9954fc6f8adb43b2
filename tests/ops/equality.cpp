#include "equality.h"

#include <algorithm>
#include <map>
#include <type_traits>

#include "runner.h"

namespace resnet::testing {
namespace {

bool is_16_bit(DType type) { return type == DType::bf16 || type == DType::f16; }

// What rounding to a type allows: relative error in norm.
double tolerance_of(DType type) {
  if (type == DType::bf16) return 1e-2;
  return type == DType::f16 ? 2e-3 : 0;
}

// Outputs of the reference backend in float, given what the tested backend computed forward.
class Expected {
 public:
  Expected(const Case& c, DType type)
      : reference_(reference_backend(), c.op, inputs(c, type), c.name) {
    const auto* bn = std::get_if<BatchNorm>(&c.op);
    has_mask_ = bn != nullptr && bn->has_mask;
  }

  // The gradients that the tested backend gets.
  void use_gradients_of(const Runner& tested, size_t outputs) {
    for (size_t i = 0; i < outputs; ++i) {
      const HostTensor diff = tested.diff_output(i);
      if (is_16_bit(diff.desc().dtype)) reference_.set_diff_output(i, as_type(diff, DType::f32));
    }
  }

  // ReLU passes gradients where *that* forward pass was positive: rounding may differ near zero.
  void use_mask_of(Runner& tested) {
    if (!has_mask_) return;
    reference_.set_mask(tested.run(Pass::forward)[0]);
    values_.erase(Pass::backward);
  }

  const std::vector<HostTensor>& of(Pass pass) {
    auto [it, fresh] = values_.try_emplace(pass);
    if (fresh) it->second = reference_.run(pass);
    return it->second;
  }

 private:
  static std::vector<HostTensor> inputs(const Case& c, DType type) {
    std::vector<HostTensor> all;
    for (size_t i = 0; i < forward_inputs(c, type).size(); ++i) {
      HostTensor t = forward_input(c, i, type);
      all.push_back(is_16_bit(t.desc().dtype) ? as_type(t, DType::f32) : std::move(t));
    }
    return all;
  }

  Runner reference_;
  bool has_mask_;
  std::map<Pass, std::vector<HostTensor>> values_;
};

HostTensor sum_of(const HostTensor& a, const HostTensor& b) {
  HostTensor sum(b.desc());
  for (int64_t i = 0; i < sum.count(); ++i) sum.set(i, a[i] + b[i]);
  return sum;
}

std::vector<std::vector<std::byte>> contents_of(const std::vector<DeviceTensor>& tensors) {
  std::vector<std::vector<std::byte>> all;
  for (const DeviceTensor& t : tensors) all.push_back(t.contents());
  return all;
}

class Comparison {
 public:
  Comparison(Backend& backend, const Case& c, DType type)
      : backend_(backend), case_(c), type_(type), expected_(c, type) {}

  Report run() {
    for (Start start : {Start::preferred, Start::plain}) {
      Runner runner(backend_, case_, type_, start);
      expected_.use_gradients_of(runner, infer(case_.op, forward_inputs(case_, type_)).size());
      if (runner.supports(Pass::forward).ok) expected_.use_mask_of(runner);
      for (Pass pass : Runner::passes(case_)) check_pass(runner, pass, start);
    }
    return std::move(report_);
  }

 private:
  void check_pass(Runner& runner, Pass pass, Start start) {
    if (const Support support = runner.supports(pass); !support.ok) {
      if (start == Start::preferred) report_.refusals.emplace_back(pass, support.reason);
      return;
    }
    ++report_.checked;
    check(runner, pass, -1);
    const auto outputs = static_cast<int>(expected_.of(pass).size());
    for (int i = 0; i < outputs; ++i) {
      if (!expected_.of(pass)[static_cast<size_t>(i)].is_real()) continue;
      if (runner.supports(pass, i).ok) check(runner, pass, i);
    }
  }

  // One run; accumulates into output `accumulate` (-1: none).
  void check(Runner& runner, Pass pass, int accumulate) {
    const Prepared prepared = runner.prepare(pass, accumulate);
    context_ = prepared.desc.str() + " by " + prepared.kernel->impl();
    const auto inputs_before = contents_of(prepared.in);
    run(prepared);
    require(contents_of(prepared.in) == inputs_before, "an input was written");
    const std::vector<HostTensor> results = runner.results(prepared);
    for (size_t i = 0; i < results.size(); ++i) {
      const std::string output = "output " + std::to_string(i);
      require(prepared.out[i].guard_intact(), output + " was written beyond its end");
      require(prepared.out[i].padding_is_zero(), output + " has padded channels that are not zero");
      const HostTensor& wanted = expected_.of(pass)[i];
      if (static_cast<int>(i) == accumulate) {
        require_close(results[i], sum_of(prepared.initial[i], wanted), output);
      } else if (wanted.is_real()) {
        require_close(results[i], wanted, output);
      } else if (std::holds_alternative<Pooling>(case_.op) && !results[i].empty()) {
        require(equal(results[i], wanted), output);  // positions of maxima; backward sees masks
      }
    }
    if (accumulate >= 0 || updates_outputs(case_.op)) return;
    check_repeatable(prepared);
    check_in_place(runner, pass, results);
  }

  void check_repeatable(const Prepared& prepared) {
    const auto first = contents_of(prepared.out);
    run(prepared);
    require(contents_of(prepared.out) == first, "a second run gives other bits");
  }

  void check_in_place(Runner& runner, Pass pass, const std::vector<HostTensor>& results) {
    for (const auto& pair : runner.supports(pass).in_place) {
      const Prepared prepared = runner.prepare(pass);
      const auto o = static_cast<size_t>(pair.first), i = static_cast<size_t>(pair.second);
      if (prepared.out[o].desc() != prepared.in[i].desc()) continue;
      run(prepared, pair);
      require(equal(download(backend_, prepared.in[i]), results[o]),
              "output " + std::to_string(o) + " in place of input " + std::to_string(i));
    }
  }

  void run(const Prepared& prepared, std::optional<std::pair<int, int>> in_place = std::nullopt) {
    prepared.run(in_place);
    backend_.synchronize();
  }
  void require(const ::testing::AssertionResult& result, const std::string& what) {
    if (!result) report_.failures.push_back(context_ + ": " + what + " " + result.message());
  }
  void require(bool ok, const std::string& what) {
    require(ok ? ::testing::AssertionSuccess() : ::testing::AssertionFailure(), what);
  }
  void require_close(const HostTensor& actual, const HostTensor& wanted, const std::string& what) {
    const auto wide = [](const HostTensor& t) {
      return is_16_bit(t.desc().dtype) ? as_type(t, DType::f32) : copy_of(t);
    };
    require(close(wide(actual), wide(wanted), tolerance(), case_.scale), what);
  }
  // Sums of rounded values, such as gradients of f32 parameters, are as inexact as these.
  double tolerance() const { return std::max(case_.tolerance, tolerance_of(type_)); }

  Backend& backend_;
  const Case& case_;
  DType type_;
  Expected expected_;
  Report report_;
  std::string context_;
};

}  // namespace

Backend& reference_backend() {
  static const std::unique_ptr<Backend> backend = make_backend("reference");
  return *backend;
}

Report compare_with_reference(Backend& backend, const Case& c, DType type) {
  return Comparison(backend, c, type).run();
}

bool has_16_bit_activations(const Op& op) {
  return std::visit(
      [](const auto& o) {
        using T = std::decay_t<decltype(o)>;
        return (std::is_same_v<T, Convolution> || std::is_same_v<T, BatchNorm> ||
                std::is_same_v<T, Scale> || std::is_same_v<T, Relu> || std::is_same_v<T, Eltwise> ||
                std::is_same_v<T, Pooling> || std::is_same_v<T, Dropout> ||
                std::is_same_v<T, Concat> || std::is_same_v<T, Slice> ||
                std::is_same_v<T, Reshape> || std::is_same_v<T, IdentityShortcut> ||
                std::is_same_v<T, Reorder>);
      },
      op);
}

}  // namespace resnet::testing
