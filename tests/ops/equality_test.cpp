// Every op case on every backend against `reference`: each pass, overwriting and accumulating, in the layouts that the
// backend prefers and in row-major ones, and in place where the backend says so.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "backends_under_test.h"
#include "resnet/base/error.h"
#include "runner.h"

namespace resnet::testing {
namespace {

struct Parameter {
  std::string backend;
  const Case* c;
};

std::string title(const ::testing::TestParamInfo<Parameter>& info) {
  return info.param.backend + "_" + info.param.c->name;
}

std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (const BackendUnderTest& backend : backends_under_test()) {
    for (const Case& c : *backend.cases) all.push_back({backend.name, &c});
  }
  return all;
}

// Outputs of the reference backend in float, given what the tested backend computed forward.
class Expected {
 public:
  explicit Expected(const Case& c) : reference_(reference_backend(), c) {
    const auto* bn = std::get_if<BatchNorm>(&c.op);
    has_mask_ = bn != nullptr && bn->has_mask;
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

class Equality : public ::testing::TestWithParam<Parameter> {
 protected:
  const Case& c() const { return *GetParam().c; }
  const BackendUnderTest& tested() const { return backend_under_test(GetParam().backend); }

  // Compares one pass; accumulates into output `accumulate` (-1: none).
  void check(Runner& runner, Expected& expected, Pass pass, int accumulate);
  void check_repeatable(const Prepared& prepared);
  void check_in_place(Runner& runner, Pass pass, const std::vector<HostTensor>& results);
};

void Equality::check(Runner& runner, Expected& expected, Pass pass, int accumulate) {
  const Prepared prepared = runner.prepare(pass, accumulate);
  SCOPED_TRACE(prepared.desc.str() + " by " + prepared.kernel->impl());
  const auto inputs_before = contents_of(prepared.in);
  prepared.run();
  tested().backend->synchronize();
  EXPECT_TRUE(contents_of(prepared.in) == inputs_before) << "an input was written";
  const std::vector<HostTensor> results = runner.results(prepared);
  for (size_t i = 0; i < results.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    EXPECT_TRUE(prepared.out[i].guard_intact()) << "written beyond the end";
    EXPECT_TRUE(prepared.out[i].padding_is_zero()) << "padded channels are not zero";
    const HostTensor& wanted = expected.of(pass)[i];
    if (static_cast<int>(i) == accumulate) {
      EXPECT_TRUE(close(results[i], sum_of(prepared.initial[i], wanted), c().tolerance, c().scale));
    } else if (wanted.is_real()) {
      EXPECT_TRUE(close(results[i], wanted, c().tolerance, c().scale));
    } else if (std::holds_alternative<Pooling>(c().op) && !results[i].empty()) {
      EXPECT_TRUE(equal(results[i], wanted));  // positions of maxima; masks are seen in backward
    }
  }
  if (accumulate < 0 && !updates_outputs(c().op)) {
    check_repeatable(prepared);
    check_in_place(runner, pass, results);
  }
}

void Equality::check_repeatable(const Prepared& prepared) {
  const auto first = contents_of(prepared.out);
  prepared.run();
  tested().backend->synchronize();
  EXPECT_TRUE(contents_of(prepared.out) == first) << "a second run gives other bits";
}

void Equality::check_in_place(Runner& runner, Pass pass, const std::vector<HostTensor>& results) {
  for (const auto& pair : runner.supports(pass).in_place) {
    SCOPED_TRACE("output " + std::to_string(pair.first) + " in place of input " +
                 std::to_string(pair.second));
    const Prepared prepared = runner.prepare(pass);
    const auto o = static_cast<size_t>(pair.first), i = static_cast<size_t>(pair.second);
    if (prepared.out[o].desc() != prepared.in[i].desc()) continue;
    prepared.run(pair);
    tested().backend->synchronize();
    EXPECT_TRUE(equal(download(*tested().backend, prepared.in[i]), results[o]));
  }
}

TEST_P(Equality, WithReference) {
  Backend& backend = *tested().backend;
  int checked = 0;
  Expected expected(c());
  for (Start start : {Start::preferred, Start::plain}) {
    Runner runner(backend, c(), DType::f32, start);
    if (runner.supports(Pass::forward).ok) expected.use_mask_of(runner);
    for (Pass pass : Runner::passes(c())) {
      SCOPED_TRACE(start == Start::plain ? "row-major" : "preferred layouts");
      const Support support = runner.supports(pass);
      if (!support.ok) {
        EXPECT_TRUE(start == Start::plain || tested().may_refuse(c(), pass))
            << name_of(pass) << " is refused: " << support.reason;
        continue;
      }
      check(runner, expected, pass, -1);
      ++checked;
      const auto outputs = static_cast<int>(expected.of(pass).size());
      for (int i = 0; i < outputs; ++i) {
        if (!expected.of(pass)[static_cast<size_t>(i)].is_real()) continue;
        if (runner.supports(pass, i).ok) check(runner, expected, pass, i);
      }
    }
  }
  if (checked == 0) GTEST_SKIP() << "no pass is supported (docs/support.md says why)";
}

INSTANTIATE_TEST_SUITE_P(Ops, Equality, ::testing::ValuesIn(parameters()), title);

TEST(Cases, HaveUniqueNames) {
  std::set<std::string> names;
  for (const Case& c : all_cases()) EXPECT_TRUE(names.insert(c.name).second) << c.name;
}

// One case of every op at least: a new op without a case fails here.
TEST(Cases, CoverEveryOp) {
  std::set<size_t> seen;
  for (const Case& c : small_cases()) seen.insert(c.op.index());
  EXPECT_EQ(seen.size(), std::variant_size_v<Op>);
}

// Fusing, recomputing and accumulating change no bit on the reference backend.
TEST(Reference, RecomputesTheSameBits) {
  for (const Case& c : small_cases()) {
    const auto n = static_cast<int>(forward_inputs(c, DType::f32).size());
    if (!signature(c.op, Pass::recompute, n)) continue;
    SCOPED_TRACE(c.name);
    Runner runner(reference_backend(), c);
    EXPECT_TRUE(equal(runner.run(Pass::recompute)[0], runner.run(Pass::forward)[0]));
  }
}

}  // namespace
}  // namespace resnet::testing
