// Winograd's algorithm or the direct one: who decides, and how far Winograd's results are from exact ones.
#include "backends/onednn/algorithms.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "backends/onednn/backend.h"
#include "backends/onednn/isa.h"
#include "resnet/base/parallel.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

namespace fs = std::filesystem;
using onednn::Algorithm;
using onednn::algorithm_by_rule;
using onednn::algorithm_of;
using Values = std::vector<float>;

constexpr Pass kPasses[] = {Pass::forward, Pass::backward_data, Pass::backward_weights};

// A 3x3 convolution.
struct Problem {
  int64_t batch, in, out, size;
  Shape src() const { return {batch, in, size, size}; }
  Shape weights() const { return {out, in, 3, 3}; }
  Shape dst() const { return {batch, out, size, size}; }
  OpDesc desc(Pass pass) const {
    Convolution op;
    op.num_output = out;
    op.kernel = {3, 3};
    op.pad = {1, 1};
    return describe_pass(
        op, pass, {{src(), DType::f32, Layout::any()}, {weights(), DType::f32, Layout::any()}});
  }
};

// Channels that only pad a block are zero.
void expect_zero_padding(const Tensor& t) {
  if (t.desc.layout != Layout::blocked(16)) return;
  const int64_t channels = t.desc.shape[1], pixels = t.desc.shape.count_from(2);
  const int64_t padded = (channels + 15) / 16 * 16;
  for (int64_t i = 0; i < t.desc.storage_count(); ++i) {
    if (i / (16 * pixels) % (padded / 16) * 16 + i % 16 < channels) continue;
    ASSERT_EQ(t.as<float>()[i], 0) << i;
  }
}

// The first result of an op in row-major order; so are its operands.
Values computed(Backend& backend, const OpDesc& wanted, const std::vector<Values>& operands) {
  const OpDesc desc = backend.resolve(wanted);
  std::vector<Buffer> buffers;
  const auto allocate = [&](const TensorDesc& t) {
    buffers.push_back(backend.allocate(backend.bytes(t)));
    return buffers.back().view(t);
  };
  const auto reorder = [&](const Tensor& from, const Tensor& to) {
    if (from.desc == to.desc) return backend.copy(to, from);
    const OpDesc step{.op = Reorder{}, .in = {from.desc}, .out = {to.desc}, .accumulate = {}};
    const auto kernel = backend.compile(step);
    Buffer scratch = backend.allocate(kernel->scratch_bytes());
    kernel->run({std::vector<Tensor>{from}, std::vector<Tensor>{to}, scratch.data()});
  };
  std::vector<Tensor> in, out;
  for (size_t i = 0; i < desc.in.size(); ++i) {
    TensorDesc plain = desc.in[i];
    plain.layout = Layout::nchw();
    const Tensor row_major = allocate(plain);
    std::copy(operands[i].begin(), operands[i].end(), row_major.as<float>());
    in.push_back(allocate(desc.in[i]));
    reorder(row_major, in.back());
  }
  for (const TensorDesc& t : desc.out) {
    out.push_back(allocate(t));
    std::fill_n(out.back().as<float>(), backend.bytes(t) / size_of(t.dtype), std::nanf(""));
  }
  const auto kernel = backend.compile(desc);
  Buffer scratch = backend.allocate(kernel->scratch_bytes());
  kernel->run({in, out, scratch.data()});
  expect_zero_padding(out[0]);
  TensorDesc plain = desc.out[0];
  plain.layout = Layout::nchw();
  const Tensor result = allocate(plain);
  reorder(out[0], result);
  return {result.as<float>(), result.as<float>() + plain.count()};
}

std::string impl(Backend& backend, const OpDesc& desc) {
  return backend.compile(backend.resolve(desc))->impl();
}

// "direct" or "winograd": what the kernel of a pass uses.
std::string used(Backend& backend, const OpDesc& desc) {
  const auto found = algorithm_of(impl(backend, desc));
  if (!found) return "unknown";
  return *found == Algorithm::winograd ? "winograd" : "direct";
}
std::string rule(const OpDesc& desc) {
  return algorithm_by_rule(desc) == Algorithm::winograd ? "winograd" : "direct";
}

std::string line(const OpDesc& desc, const std::string& impl) {
  return std::string(name_of(desc.op)) + " " + name_of(desc.pass) + " " + describe(desc.op) + " " +
         desc.in[0].shape.str() + ": " + impl;
}

Values normal(int64_t count, uint64_t stream, double deviation) {
  Values values(static_cast<size_t>(count));
  Random random(3, stream, Use::test);
  for (float& v : values) v = static_cast<float>(random.normal() * deviation);
  return values;
}

// What a layer of a net sees: src behind a ReLU, weights by He, a gradient of dst.
struct Data {
  Values src, weights, diff_dst;
  explicit Data(const Problem& p)
      : src(normal(p.src().count(), 0, 1)),
        weights(normal(p.weights().count(), 1, std::sqrt(2.0 / (9.0 * static_cast<double>(p.in))))),
        diff_dst(normal(p.dst().count(), 2, 1)) {
    for (float& v : src) v = std::max(v, 0.0f);
  }
  std::vector<Values> operands(Pass pass) const {
    if (pass == Pass::forward) return {src, weights};
    if (pass == Pass::backward_data) return {diff_dst, weights};
    return {src, diff_dst};
  }
};

// Calls f(index in src, in weights, in dst, pixels) for runs of pixels of a row that are multiplied.
template <class Function>
void for_products(const Problem& p, int64_t n, int64_t o, int64_t i, const Function& f) {
  for (int64_t ky = 0; ky < 3; ++ky) {
    for (int64_t kx = 0; kx < 3; ++kx) {
      const int64_t weight = ((o * p.in + i) * 3 + ky) * 3 + kx;
      const int64_t x = std::max<int64_t>(0, 1 - kx), pixels = p.size - std::abs(kx - 1);
      for (int64_t y = std::max<int64_t>(0, 1 - ky); y < p.size - std::max<int64_t>(0, ky - 1);
           ++y) {
        f(((n * p.in + i) * p.size + y + ky - 1) * p.size + x + kx - 1, weight,
          ((n * p.out + o) * p.size + y) * p.size + x, pixels);
      }
    }
  }
}

// The pass in double.
std::vector<double> exact(const Problem& p, Pass pass, const Data& d) {
  const bool forward = pass == Pass::forward, data = pass == Pass::backward_data;
  const Shape shape = forward ? p.dst() : data ? p.src() : p.weights();
  std::vector<double> result(static_cast<size_t>(shape.count()));
  // Threads share no element of the result.
  const int64_t outer = data ? p.in : p.out, inner = data ? p.out : p.in;
  parallel_for(outer, 1, [&](int64_t begin, int64_t end) {
    for (int64_t a = begin; a < end; ++a) {
      for (int64_t b = 0; b < inner; ++b) {
        for (int64_t n = 0; n < p.batch; ++n) {
          for_products(p, n, data ? b : a, data ? a : b,
                       [&](int64_t s, int64_t w, int64_t t, int64_t pixels) {
                         const float *src = &d.src[static_cast<size_t>(s)],
                                     *dst = &d.diff_dst[static_cast<size_t>(t)];
                         const double weight = d.weights[static_cast<size_t>(w)];
                         double sum = 0;
                         double* to = &result[static_cast<size_t>(forward ? t : data ? s : w)];
                         for (int64_t k = 0; k < pixels; ++k) {
                           if (forward) to[k] += weight * src[k];
                           if (data) to[k] += weight * dst[k];
                           if (!forward && !data) sum += double{src[k]} * dst[k];
                         }
                         if (!forward && !data) *to += sum;
                       });
        }
      }
    }
  });
  return result;
}

// Of the difference's norm to the second one's norm.
template <class T>
double distance(const Values& a, const std::vector<T>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

class Algorithms : public ::testing::Test {
 protected:
  Algorithms() { fs::remove_all(folder_); }
  ~Algorithms() override { fs::remove_all(folder_); }
  void TearDown() override { set_num_threads(threads_); }

  std::unique_ptr<Backend> backend(const BackendOptions& options = {}) const {
    auto made = make_onednn_backend();
    made->configure(options);
    return made;
  }
  BackendOptions tuning() const { return {.tune = true, .cache_dir = folder_.string()}; }
  // One that has a choice, for every pass.
  static bool has_winograd() { return onednn::preferred_block() == 16; }

  std::string cache() const {
    const std::string name = "onednn-" + onednn::library_version() + "-" + onednn::library_isa() +
                             "-" + std::to_string(num_threads()) + "threads.txt";
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_cache(const std::string& text) const {
    for (const auto& file : fs::directory_iterator(folder_)) {
      if (file.path().extension() == ".txt") std::ofstream(file.path()) << text;
    }
  }
  // With each kernel replaced by one of the other algorithm.
  static std::string flipped(std::string text) {
    const std::string direct = "\tjit:", winograd = "\tjit_wino_4x3:";
    for (size_t at = 0; (at = text.find("\tjit", at)) != std::string::npos; ++at) {
      const bool is_direct = text.compare(at, direct.size(), direct) == 0;
      text.replace(at, (is_direct ? direct : winograd).size(), is_direct ? winograd : direct);
    }
    return text;
  }

  const fs::path folder_ = ::testing::TempDir() + "algorithms_" + std::to_string(getpid());
  const int threads_ = num_threads();
};

// Those of the CIFAR nets and of ResNet-18 and 50, and some that have no second algorithm.
constexpr Problem kNets[] = {{16, 16, 16, 32},  {16, 32, 32, 16},  {16, 64, 64, 8}, {2, 64, 64, 56},
                             {2, 128, 128, 28}, {2, 256, 256, 14}, {2, 512, 512, 7}};
constexpr Problem kSmall{4, 64, 64, 16}, kOddIn{4, 40, 64, 16}, kOddOut{4, 64, 40, 16};

TEST_F(Algorithms, TheRuleIsAFunctionOfTheDesc) {
  std::vector<OpDesc> descs;
  for (const Problem& p : kNets) {
    for (const Pass pass : kPasses) descs.push_back(p.desc(pass));
  }
  descs.push_back(kOddIn.desc(Pass::forward));
  for (const Problem& p : {kNets[0], kNets[3], kNets[4], kNets[5]}) {
    OpDesc fixed = p.desc(Pass::forward);
    std::get<Convolution>(fixed.op).fixed_weights = true;
    descs.push_back(fixed);
  }
  std::vector<std::string> wanted;
  std::transform(descs.begin(), descs.end(), std::back_inserter(wanted), rule);
  EXPECT_EQ(std::count(wanted.begin(), wanted.end(), "winograd") > 0, has_winograd());
  EXPECT_GT(std::count(wanted.begin(), wanted.end(), "direct"), 0);
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    const auto one = backend();
    for (size_t k = 0; k < descs.size(); ++k) {
      const size_t i = threads == 1 ? k : descs.size() - 1 - k;
      // oneDNN has no Winograd for some fixed weights and numbers of threads.
      const bool fixed = std::get<Convolution>(descs[i].op).fixed_weights;
      if (onednn::may_use_winograd(descs[i]) && (threads == 1 || !fixed)) {
        EXPECT_EQ(used(*one, descs[i]), wanted[i])
            << descs[i].str() << ", " << threads << " threads";
      }
      OpDesc resolved = one->resolve(descs[i]);
      EXPECT_EQ(rule(resolved), wanted[i]);
      EXPECT_EQ(one->resolve(resolved), resolved);
    }
  }
}

TEST_F(Algorithms, RecordedChoicesWinOverRuleAndTuning) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  for (const Problem& p : {kSmall, kNets[0]}) {  // the rule takes Winograd; it does not
    for (const Pass pass : kPasses) {
      const OpDesc desc = p.desc(pass);
      for (const char* name : {"jit:avx512_core", "jit_wino_4x3:avx512_core"}) {
        for (BackendOptions options : {BackendOptions{}, tuning()}) {
          options.choices = {line(desc, name)};
          const auto made = backend(options);
          EXPECT_EQ(impl(*made, desc), name) << desc.str();
          const OpDesc resolved = made->resolve(desc);
          EXPECT_EQ(made->resolve(resolved), resolved);
        }
      }
    }
  }
  EXPECT_EQ(cache(), "");  // nothing was timed
}

TEST_F(Algorithms, WhatSaysNothingLeavesTheRule) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  const OpDesc desc = kSmall.desc(Pass::backward_data);
  ASSERT_EQ(rule(desc), "winograd");
  const std::string direct = line(desc, "jit:avx512_core");
  const std::vector<std::vector<std::string>> choices = {
      {},
      {line(kSmall.desc(Pass::forward), "jit:avx512_core")},
      {line(desc, "cudnn:eng3_k2=1"), line(desc, "reference")},
      {line(desc, "jit:avx512_core"), line(desc, "jit_wino_4x3:avx512_core")}};
  for (const auto& lines : choices) {
    EXPECT_EQ(used(*backend({.choices = lines}), desc), "winograd");
  }
  EXPECT_EQ(used(*backend({.choices = {direct}}), desc), "direct");
  // What is configured holds for what is compiled from then on.
  const auto one = backend({.choices = {direct}});
  EXPECT_EQ(used(*one, desc), "direct");
  one->configure({});
  EXPECT_EQ(used(*one, desc), "winograd");
}

TEST_F(Algorithms, WithoutASecondAlgorithmNothingIsTuned) {
  const auto made = backend(tuning());
  OpDesc desc = kSmall.desc(Pass::forward);
  std::get<Convolution>(desc.op).dilation = {2, 2};
  std::get<Convolution>(desc.op).pad = {2, 2};
  EXPECT_EQ(impl(*made, desc), impl(*backend(), desc));
  EXPECT_EQ(cache(), "");
}

TEST_F(Algorithms, TuningIsKeptInAFile) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    std::vector<std::string> first;
    {
      const auto made = backend(tuning());
      for (const Pass pass : kPasses) first.push_back(used(*made, kSmall.desc(pass)));
    }
    const std::string text = cache();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
    EXPECT_NE(text.find("Convolution backward_data k3x3 s1x1 p1x1 o64 (4,64,16,16) (64,64,3,3) -> "
                        "(4,64,16,16)\tjit"),
              std::string::npos)
        << text;
    // Another process finds and takes them; it would not measure the opposite three times.
    set_cache(flipped(text));
    const auto made = backend(tuning());
    for (size_t i = 0; i < 3; ++i) {
      const OpDesc desc = kSmall.desc(kPasses[i]);
      EXPECT_EQ(used(*made, desc), first[i] == "direct" ? "winograd" : "direct");
    }
    EXPECT_EQ(cache(), flipped(text));
    // Without --tune the file does not count.
    BackendOptions untuned = tuning();
    untuned.tune = false;
    EXPECT_EQ(used(*backend(untuned), kSmall.desc(Pass::forward)),
              rule(kSmall.desc(Pass::forward)));
    fs::remove_all(folder_);
  }
}

TEST_F(Algorithms, AnUnknownKernelInTheFileIsMeasuredAnew) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  const OpDesc desc = kSmall.desc(Pass::forward);
  used(*backend(tuning()), desc);
  std::string text = cache();
  const size_t name = text.find("\tjit") + 1;
  text.replace(name, 3, "future");
  set_cache(text);
  EXPECT_NE(used(*backend(tuning()), desc), "unknown");
  EXPECT_EQ(cache().find("future"), std::string::npos);
}

TEST_F(Algorithms, TunedResultsAreTheDirectOnes) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  for (const Problem& p : {kSmall, kNets[1], kOddIn, kOddOut}) {
    const Data data(p);
    for (const Pass pass : kPasses) {
      const OpDesc desc = p.desc(pass);
      const auto tuned = backend(tuning());
      const auto direct = backend({.choices = {line(desc, "jit:avx512_core")}});
      EXPECT_EQ(used(*direct, desc), "direct");
      const Values expected = computed(*direct, desc, data.operands(pass));
      EXPECT_LT(distance(computed(*tuned, desc, data.operands(pass)), expected), 1e-5);
      set_cache(flipped(cache()));  // whatever was faster, both are compared
      EXPECT_LT(distance(computed(*backend(tuning()), desc, data.operands(pass)), expected), 1e-5);
      fs::remove_all(folder_);
    }
  }
}

// The figures of docs/performance.md are what this prints.
TEST_F(Algorithms, WinogradsErrorIsBounded) {
  if (!has_winograd()) GTEST_SKIP() << "needs AVX-512";
  std::printf("  relative L2 error         Winograd   direct\n");
  for (const Problem& p : kNets) {
    const Data data(p);
    for (const Pass pass : kPasses) {
      const OpDesc desc = p.desc(pass);
      const std::vector<double> expected = exact(p, pass, data);
      const auto error = [&](const std::string& name) {
        const auto made = backend({.choices = {line(desc, name)}});
        EXPECT_EQ(impl(*made, desc), name);
        return distance(computed(*made, desc, data.operands(pass)), expected);
      };
      const double winograd = error("jit_wino_4x3:avx512_core"), direct = error("jit:avx512_core");
      std::printf("  %-17s%-16s %.1e   %.1e\n", p.src().str().c_str(), name_of(pass), winograd,
                  direct);
      EXPECT_LT(winograd, 2e-6) << desc.str();
      EXPECT_LT(direct, 2e-6) << desc.str();
    }
  }
}

}  // namespace
}  // namespace resnet
