// Every file of tests/fuzz/corpus is accepted or refused by its target, and nothing else: seeds, and inputs
// that once did worse.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "fuzz/fuzz.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::fuzz {
namespace {

namespace fs = std::filesystem;

class Corpus : public ::testing::TestWithParam<NamedTarget> {};

TEST_P(Corpus, IsAcceptedOrRefused) {
  const fs::path folder = fs::path(RESNET_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam().name;
  int accepted = 0, refused = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const bool taken = accepts(GetParam().run, read_file(entry.path().string()));
    if (name.starts_with("valid")) {
      EXPECT_TRUE(taken);
    }
    ++(taken ? accepted : refused);
  }
  EXPECT_GE(accepted, 1) << folder << " has no valid input";
  EXPECT_GE(refused, 1) << folder << " has no invalid input";
}

TEST_P(Corpus, AcceptsOrRefusesWhatItIsNotMeantFor) {
  for (const std::string& input : {std::string(), std::string(1, '\0'), std::string(300, '\xFF'),
                                   std::string("{"), std::string("a: 1")}) {
    accepts(GetParam().run, input);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return info.param.name; });

TEST(Targets, AllAreHere) {
  std::vector<std::string> names, folders;
  for (const NamedTarget& target : targets()) names.push_back(target.name);
  for (const auto& entry :
       fs::directory_iterator(fs::path(RESNET_SOURCE_DIR) / "tests/fuzz/corpus")) {
    folders.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::sort(folders.begin(), folders.end());
  EXPECT_EQ(names, folders);
}

TEST(Targets, OnlyUserErrorsRefuse) {
  EXPECT_TRUE(accepts([](std::string_view) {}, ""));
  EXPECT_FALSE(accepts([](std::string_view) { throw DataError("bad"); }, ""));
  EXPECT_THROW(accepts([](std::string_view) { throw InternalError("bug"); }, ""), InternalError);
  EXPECT_THROW(accepts([](std::string_view) { throw std::out_of_range("bug"); }, ""),
               std::out_of_range);
  EXPECT_DEATH(accepts([](std::string_view) { require(false, "this"); }, ""),
               "does not hold: this");
  EXPECT_EQ(read_file(MemoryFile("longer").path()), "longer");
  EXPECT_EQ(read_file(MemoryFile("short").path()), "short");
}

}  // namespace
}  // namespace resnet::fuzz
