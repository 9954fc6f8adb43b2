// Times op cases on a backend, compares it with `reference`, or prints what backends support.
// usage: ops_bench [--mode=perf|test|support] [--backend=NAME|FILE.so] [--cases=small|resnet20|resnet50] [--batch=N]
//                  [--filter=TEXT] [--threads=N] [--bind=auto|cores|none]
// perf prints, for each pass of each case: milliseconds (the best of several runs), GFLOP/s where multiply-adds are
// counted (two a multiply-add), GB/s of inputs and outputs otherwise. test is what a new backend must pass.
#include <algorithm>
#include <cstdio>
#include <string>

#include "bench.h"
#include "ops/cases.h"
#include "ops/equality.h"
#include "ops/runner.h"
#include "ops/support.h"
#include "resnet/base/error.h"
#include "resnet/base/parallel.h"

namespace resnet::testing {
namespace {

using bench::Options;

double bytes_of(const std::vector<TensorDesc>& descs) {
  double bytes = 0;
  for (const TensorDesc& d : descs) bytes += static_cast<double>(d.count() * size_of(d.dtype));
  return bytes;
}

void time_pass(Backend& backend, const Case& c, Pass pass) {
  Runner runner(backend, c);
  if (const Support support = runner.supports(pass); !support.ok) {
    std::printf("%-28s %-17s refused: %s\n", c.name.c_str(), name_of(pass), support.reason.c_str());
    return;
  }
  const Prepared prepared = runner.prepare(pass);
  const double seconds = bench::best_seconds([&] { prepared.run(); });
  const auto operations =
      2.0 * static_cast<double>(multiply_adds(c.op, forward_inputs(c, DType::f32)));
  const double bytes = bytes_of(prepared.desc.in) + bytes_of(prepared.desc.out);
  const bool computes = operations > 0;
  std::printf("%-28s %-17s %10.3f ms %9.1f %s  %s\n", c.name.c_str(), name_of(pass), seconds * 1e3,
              (computes ? operations : bytes) / seconds * 1e-9, computes ? "GFLOP/s" : "GB/s   ",
              prepared.kernel->impl().c_str());
  std::fflush(stdout);
}

std::vector<Case> chosen_cases(const Options& options) {
  const std::string& set = options.at("cases");
  std::vector<Case> cases =
      set == "small" ? small_cases() : net_cases(set, bench::number(options, "batch"));
  std::erase_if(
      cases, [&](const Case& c) { return c.name.find(options.at("filter")) == std::string::npos; });
  return cases;
}

// Returns whether nothing failed.
bool test(Backend& backend, const std::vector<Case>& cases) {
  bool good = true;
  for (const Case& c : cases) {
    const Report report = compare_with_reference(backend, c);
    good = good && report.failures.empty();
    std::printf("%-28s %s\n", c.name.c_str(), report.failures.empty() ? "ok" : "FAILED");
    for (const std::string& failure : report.failures) std::printf("  %s\n", failure.c_str());
    for (const auto& [pass, reason] : report.refusals) {
      std::printf("  %s is refused: %s\n", name_of(pass), reason.c_str());
    }
  }
  return good;
}

int run(int argc, char** argv) {
  try {
    const Options options = bench::parse_options(argc, argv,
                                                 {{"mode", "perf"},
                                                  {"backend", "onednn"},
                                                  {"cases", "resnet20"},
                                                  {"batch", "128"},
                                                  {"filter", ""},
                                                  {"threads", "0"},
                                                  {"bind", "auto"}},
                                                 "the head of tools/bench/ops_bench.cpp");
    const std::string& mode = options.at("mode");
    if (mode == "support") {
      std::fputs(support_markdown().c_str(), stdout);
      return 0;
    }
    if (mode != "perf" && mode != "test") {
      throw ConfigError("unknown mode '" + mode + "'; use perf, test or support");
    }
    const std::unique_ptr<Backend> backend = make_backend(options.at("backend"));
    std::fprintf(stderr, "%s\n", backend->description().c_str());
    const Bind bind = parse_bind(options.at("bind"));
    std::fprintf(stderr, "%s\n",
                 setup_threads(static_cast<int>(bench::number(options, "threads")), bind).c_str());
    const std::vector<Case> cases = chosen_cases(options);
    if (mode == "test") return test(*backend, cases) ? 0 : 1;
    for (const Case& c : cases) {
      for (Pass pass : Runner::passes(c)) time_pass(*backend, c, pass);
    }
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "ops_bench: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}

}  // namespace
}  // namespace resnet::testing

int main(int argc, char** argv) { return resnet::testing::run(argc, argv); }
