// Which engines cuDNN would give a GPU: a description of one is enough to ask, so no GPU is needed. What the
// engines compute is seen on a GPU only (tests/ops).
#include "backends/cuda/cudnn/engines.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "backends/cuda/cudnn/selection.h"
#include "cudnn/h200.h"
#include "resnet/base/error.h"
#include "test_paths.h"

namespace resnet::cuda {
namespace {

constexpr int64_t kWorkspace = int64_t{2} << 30;

struct Shapes {
  std::string name = {};
  Convolution op = {};
  Shape src = {};
};

// "name Convolution C H W k3 s1 p1 o16" of tests/ops/shapes_<net>.txt.
std::vector<Shapes> convolutions_of(const std::string& net, int64_t batch) {
  std::ifstream file(testing::source_dir() + "/tests/ops/shapes_" + net + ".txt");
  std::vector<Shapes> result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    Shapes s{.src = {batch, 0, 0, 0}};
    std::string op;
    if (!(in >> s.name >> op >> s.src[1] >> s.src[2] >> s.src[3]) || op != "Convolution") continue;
    std::map<char, int64_t> value;
    for (char key = 0; in >> key >> value[key];) {
    }
    s.op = {.num_output = value['o'],
            .kernel = {value['k'], value['k']},
            .stride = {value['s'], value['s']},
            .pad = {value['p'], value['p']}};
    s.name = net + " " + s.name;
    result.push_back(s);
  }
  return result;
}

// Channels that 16-byte vectors do not fit, groups, dilation, sides that differ.
std::vector<Shapes> odd_convolutions() {
  return {
      {"grey", {.num_output = 5, .kernel = {3, 3}, .pad = {1, 1}}, {2, 1, 7, 5}},
      {"odd", {.num_output = 7, .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 0}}, {3, 10, 9, 11}},
      {"grouped", {.num_output = 6, .kernel = {3, 3}, .pad = {1, 1}, .groups = 2}, {2, 4, 8, 8}},
      {"depthwise", {.num_output = 8, .kernel = {3, 3}, .pad = {1, 1}, .groups = 8}, {2, 8, 8, 8}},
      {"dilated",
       {.num_output = 4, .kernel = {3, 3}, .pad = {2, 2}, .dilation = {2, 2}},
       {2, 3, 9, 9}},
      {"one image",
       {.num_output = 64, .kernel = {7, 7}, .stride = {2, 2}, .pad = {3, 3}},
       {1, 3, 224, 224}},
  };
}

std::vector<Shapes> all_convolutions() {
  std::vector<Shapes> all = convolutions_of("resnet20", 128);
  for (auto& more : {convolutions_of("resnet50", 64), odd_convolutions()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

OpDesc describe(const Shapes& s, Pass pass, DType type) {
  const Shape weights{s.op.num_output, s.src[1] / s.op.groups, s.op.kernel[0], s.op.kernel[1]};
  OpDesc desc =
      describe_pass(s.op, pass, {{s.src, type, Layout::nhwc()}, {weights, type, Layout::nhwc()}});
  return library_desc(desc);
}

class EnginesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = DeviceFacts::of_json(testing::kH200);
    } catch (const DeviceError& e) {
      GTEST_SKIP() << "this cuDNN takes no description of a GPU: " << e.what();
    }
  }
  DeviceFacts device_;
};

TEST_F(EnginesTest, AreThereForEveryPassOfEveryShape) {
  const std::vector<Shapes> all = all_convolutions();
  ASSERT_GT(all.size(), 30u);
  for (const Shapes& s : all) {
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
      for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
        for (const bool accumulate : {false, true}) {
          const OpDesc desc = describe(s, pass, type);
          SCOPED_TRACE(s.name + ": " + desc.str() + (accumulate ? " +=" : ""));
          const ConvolutionGraph graph(desc, accumulate, device_);
          const auto engines = candidates(graph, type, {});
          for (const Engine& engine : engines) {
            EXPECT_FALSE(engine.nondeterministic || engine.short_sums || engine.transformed);
            if (type == DType::f32) {
              EXPECT_FALSE(engine.tensor_core || engine.down_convert);
            }
          }
          EXPECT_EQ(build_some(graph, engines, kWorkspace, 1).size(), 1u);
        }
      }
    }
  }
}

TEST_F(EnginesTest, UseTensorCoresFor16Bits) {
  for (const Shapes& s : convolutions_of("resnet50", 64)) {
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      const OpDesc desc = describe(s, pass, DType::bf16);
      SCOPED_TRACE(desc.str());
      const auto engines = candidates(ConvolutionGraph(desc, false, device_), DType::bf16, {});
      ASSERT_FALSE(engines.empty());
      EXPECT_TRUE(engines.front().tensor_core);
    }
  }
}

TEST_F(EnginesTest, AreFoundByTheirNames) {
  for (const Shapes& s : odd_convolutions()) {
    const ConvolutionGraph graph(describe(s, Pass::forward, DType::f16), false, device_);
    for (const Engine& engine : graph.engines()) {
      SCOPED_TRACE(engine.name);
      const auto found = graph.engine(engine.name);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->name, engine.name);
      EXPECT_EQ(found->tensor_core, engine.tensor_core);
      EXPECT_EQ(found->nondeterministic, engine.nondeterministic);
      const auto a = graph.build(engine), b = graph.build(*found);
      ASSERT_EQ(a.has_value(), b.has_value());
      if (a) {
        EXPECT_EQ(a->workspace_bytes, b->workspace_bytes);
      }
    }
    for (const char* name :
         {"", "eng", "eng-1", "eng999999", "eng0_", "eng0_k2", "eng0_k99999=0", "x"}) {
      EXPECT_FALSE(graph.engine(name)) << name;
    }
  }
}

TEST_F(EnginesTest, AreProposedInTheSameOrderAgain) {
  const OpDesc desc = describe(all_convolutions().front(), Pass::backward_weights, DType::bf16);
  std::vector<std::string> names[2];
  for (auto& list : names) {
    for (const Engine& e : ConvolutionGraph(desc, false, device_).engines()) list.push_back(e.name);
  }
  EXPECT_FALSE(names[0].empty());
  EXPECT_EQ(names[0], names[1]);
}

TEST_F(EnginesTest, ErrorsGiveTheTextOfTheLibrary) {
  OpDesc desc = describe(odd_convolutions().front(), Pass::forward, DType::f32);
  desc.out[0].shape[2] += 1;
  try {
    const ConvolutionGraph graph(desc, false, device_);
    ADD_FAILURE() << "takes " << graph.engines().size() << " engines for a wrong shape";
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("CUDNN_STATUS_BAD_PARAM"), std::string::npos) << e.what();
  }
  EXPECT_THROW(DeviceFacts::of_json("{}"), DeviceError);
}

TEST(Allowed, FollowsTheOptions) {
  const BackendOptions plain, tune{.tune = true}, tf32{.tf32 = true}, loose{.deterministic = false};
  EXPECT_TRUE(allowed({}, DType::f32, plain));
  const Engine cores{.tensor_core = true};
  EXPECT_FALSE(allowed(cores, DType::f32, plain));
  EXPECT_FALSE(allowed(cores, DType::f32, tune));
  EXPECT_TRUE(allowed(cores, DType::f32, tf32));
  EXPECT_TRUE(allowed(cores, DType::bf16, plain));
  const Engine rounds{.down_convert = true};
  EXPECT_FALSE(allowed(rounds, DType::f32, tune));
  EXPECT_TRUE(allowed(rounds, DType::f32, tf32));
  const Engine winograd{.transformed = true};
  EXPECT_FALSE(allowed(winograd, DType::f16, plain));
  EXPECT_TRUE(allowed(winograd, DType::f16, tune));
  const Engine atomics{.nondeterministic = true};
  EXPECT_FALSE(allowed(atomics, DType::f16, tune));
  EXPECT_TRUE(allowed(atomics, DType::f16, loose));
  EXPECT_FALSE(allowed({.short_sums = true}, DType::f16, loose));
}

}  // namespace
}  // namespace resnet::cuda
