#include "resnet/base/nearest.h"

#include <gtest/gtest.h>

namespace resnet {
namespace {

TEST(Nearest, FindsTheFewestChanges) {
  EXPECT_EQ(nearest("kernal_size", {"kernel_h", "kernel_size", "stride"}), "kernel_size");
  EXPECT_EQ(nearest("relu", {"Scale", "ReLU"}), "ReLU");
  EXPECT_EQ(nearest("datas", {"data2", "data"}), "data2");  // both one letter away: the first
}

TEST(Nearest, FarNamesAreNoSuggestion) {
  EXPECT_EQ(nearest("transformer", {"data", "conv1"}), "");
  EXPECT_EQ(nearest("ab", {"xy"}), "");  // nothing in common
  EXPECT_EQ(nearest("", {"a"}), "");
  EXPECT_EQ(nearest("a", {}), "");
}

TEST(Nearest, SuggestionText) {
  EXPECT_EQ(suggestion("dat", {"data"}), "; did you mean 'data'?");
  EXPECT_EQ(suggestion("dat", {}), "");
  EXPECT_EQ(suggestion("dat", {}, "; see the docs"), "; see the docs");
}

TEST(Nearest, LongWordsAreCut) {
  const std::string word(100000, 'a');
  EXPECT_EQ(nearest(word, {word + "b"}), word + "b");
}

}  // namespace
}  // namespace resnet
