// Every op case on every backend against `reference`, and faults that the comparison must find.
#include "equality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "backends_under_test.h"
#include "faulty_backend.h"
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

class Equality : public ::testing::TestWithParam<Parameter> {};

TEST_P(Equality, WithReference) {
  const BackendUnderTest& tested = backend_under_test(GetParam().backend);
  const Case& c = *GetParam().c;
  const Report report = compare_with_reference(*tested.backend, c);
  for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
  for (const auto& [pass, reason] : report.refusals) {
    EXPECT_TRUE(tested.may_refuse(c, pass)) << name_of(pass) << " is refused: " << reason;
  }
  if (report.checked == 0) GTEST_SKIP() << "no pass is supported (docs/support.md says why)";
}

struct NarrowParameter {
  DType type;
  std::string obstacle;
  Parameter p;
};

std::vector<NarrowParameter> narrow_parameters() {
  std::vector<NarrowParameter> all;
  for (const Parameter& p : parameters()) {
    if (!has_16_bit_activations(p.c->op)) continue;
    for (const auto& [type, obstacle] : backend_under_test(p.backend).narrow_types) {
      all.push_back({type, obstacle, p});
    }
  }
  return all;
}

class NarrowEquality : public ::testing::TestWithParam<NarrowParameter> {};

TEST_P(NarrowEquality, WithReference) {
  const auto& [type, obstacle, p] = GetParam();
  if (!obstacle.empty()) GTEST_SKIP() << obstacle;
  const BackendUnderTest& tested = backend_under_test(p.backend);
  const Report report = compare_with_reference(*tested.backend, *p.c, type);
  for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
  for (const auto& [pass, reason] : report.refusals) {
    EXPECT_TRUE(tested.may_refuse(*p.c, pass)) << name_of(pass) << " is refused: " << reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, NarrowEquality, ::testing::ValuesIn(narrow_parameters()),
                         [](const auto& info) {
                           return info.param.p.backend + "_" + info.param.p.c->name + "_" +
                                  name_of(info.param.type);
                         });

// The same tests run on a GPU where there is one.
TEST(Gpu, IsTested) {
  if (!gpu_obstacle().empty()) GTEST_SKIP() << gpu_obstacle();
  EXPECT_EQ(backend_under_test("cuda_gpu").backend->memory(), MemoryKind::device);
}

INSTANTIATE_TEST_SUITE_P(Ops, Equality, ::testing::ValuesIn(parameters()), title);

// A comparison that cannot fail proves nothing: each planted fault is found in every case that it touches.
TEST(Comparison, FindsPlantedFaults) {
  std::vector<const Case*> touched;
  for (const Case& c : small_cases()) {
    if (!is_large(c)) touched.push_back(&c);
  }
  const auto faults_found = [&](Fault fault) {
    const std::unique_ptr<Backend> backend = make_faulty_backend(fault);
    return static_cast<int>(std::ranges::count_if(touched, [&](const Case* c) {
      return !compare_with_reference(*backend, *c).failures.empty();
    }));
  };
  const auto cases = static_cast<int>(touched.size());
  EXPECT_LE(small_cases().size() - touched.size(), 2u);
  EXPECT_EQ(faults_found(Fault::none), 0);
  EXPECT_EQ(faults_found(Fault::wrong_element), cases - 1);  // bn_one_value: zero by cancellation
  constexpr int kOldStates =
      5;  // record_batch and prepare_update that leave the last count as it was
  EXPECT_EQ(faults_found(Fault::missing_element), cases - kOldStates);
  EXPECT_EQ(faults_found(Fault::beyond_end), cases);
  EXPECT_EQ(faults_found(Fault::writes_input), cases - 1);  // Fill has no input
  EXPECT_GT(faults_found(Fault::overwrites), cases / 2);
  EXPECT_GT(faults_found(Fault::wrong_in_place), cases / 4);
}

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

// A BatchNorm that takes its addend from an option-A shortcut is the shortcut and the addition, to the bit.
TEST(Reference, AStridedAddendIsAShortcut) {
  for (const Case& c : small_cases()) {
    const auto* strided = std::get_if<BatchNorm>(&c.op);
    if (strided == nullptr || strided->add_stride == 0) continue;
    SCOPED_TRACE(c.name);
    Runner one(reference_backend(), c);
    std::vector<HostTensor> inputs;
    for (size_t i = 0; i < forward_inputs(c, DType::f32).size(); ++i) {
      inputs.push_back(copy_of(one.input(i)));
    }
    std::vector<HostTensor> source;
    source.push_back(copy_of(inputs.back()));
    const IdentityShortcut shortcut{.stride = strided->add_stride, .num_output = c.src[0][1]};
    Runner first(reference_backend(), shortcut, std::move(source), c.name);
    inputs.back() = std::move(first.run(Pass::forward)[0]);
    BatchNorm plain = *strided;
    plain.add_stride = 0;
    Runner second(reference_backend(), plain, std::move(inputs), c.name);
    const auto fused = one.run(Pass::forward), apart = second.run(Pass::forward);
    ASSERT_EQ(fused.size(), apart.size());
    for (size_t i = 0; i < fused.size(); ++i) EXPECT_TRUE(equal(fused[i], apart[i])) << i;

    const auto diff = one.run(Pass::backward);
    auto diff_apart = second.run(Pass::backward);
    ASSERT_EQ(diff.size(), diff_apart.size());
    first.set_diff_output(0, std::move(diff_apart.back()));
    diff_apart.back() = std::move(first.run(Pass::backward)[0]);
    for (size_t i = 0; i < diff.size(); ++i) EXPECT_TRUE(equal(diff[i], diff_apart[i])) << i;
  }
}

// Recomputing changes no bit on the reference backend.
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
