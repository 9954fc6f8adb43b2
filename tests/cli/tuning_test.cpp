// `--tune` on the CPU: what it chose is in the snapshot, and a resumed run takes it from there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/tool.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

TEST(Tuning, AResumedRunNeedsNeitherTheFlagNorTheCache) {
  const Workspace files;
  files.replace("net.prototxt", "num_output: 4", "num_output: 32");
  files.replace("net.prototxt", "layer { name: \"pool\" type: \"Pooling\" bottom: \"conv\"",
                "layer { name: 'conv2' type: 'Convolution' bottom: 'conv' top: 'conv2'\n"
                "  convolution_param { num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "
                "'msra' } } }\n"
                "layer { name: 'pool' type: 'Pooling' bottom: 'conv2'");
  const RunOptions cached{.environment = {{"XDG_CACHE_HOME", files.path("cache")}}};
  ASSERT_EQ(files.train({"--tune", "--dry_run"}, cached).code, 0);
  fs::path cache;
  if (files.has("cache/resnet")) {
    for (const auto& file : fs::directory_iterator(files.path("cache/resnet"))) {
      if (file.path().extension() == ".txt") cache = file.path();
    }
  }
  if (cache.empty()) GTEST_SKIP() << "this machine has one algorithm only";
  EXPECT_TRUE(cache.filename().string().starts_with("onednn-")) << cache;
  EXPECT_TRUE(cache.filename().string().ends_with("-1threads.txt")) << cache;
  // Winograd's algorithm everywhere, against the rule: there are few tiles.
  std::ifstream in(cache);
  std::string text, line;
  while (std::getline(in, line)) {
    const size_t name = line.find("\tjit");
    text +=
        (name == std::string::npos ? line : line.substr(0, name) + "\tjit_wino_4x3:x\t1") + "\n";
  }
  in.close();
  std::ofstream(cache) << text;

  const char* model = "snap/tiny_iter_4.caffemodel";
  ASSERT_EQ(files.train().code, 0);
  const std::string by_rule = files.read(model);
  fs::remove_all(files.path("snap"));
  ASSERT_EQ(files.train({"--tune"}, cached).code, 0);
  const std::string whole = files.read(model);
  EXPECT_NE(whole, by_rule);

  for (const bool tune : {false, true}) {
    fs::remove(files.path(model));
    fs::remove(files.path("snap/tiny_iter_4.solverstate"));
    fs::remove_all(files.path("cache"));
    std::vector<std::string> flags{"--snapshot=snap/tiny_iter_2.solverstate"};
    if (tune) flags.emplace_back("--tune");
    const RunResult rest = files.train(flags, cached);
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_TRUE(files.read(model) == whole) << "tune: " << tune;
  }
}

}  // namespace
}  // namespace resnet::test
