#include "support.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace resnet::testing {
namespace {

TEST(Support, DocumentIsUpToDate) {
  const std::string path = std::string(RESNET_SOURCE_DIR) + "/docs/support.md";
  const std::string expected = support_markdown();
  if (std::getenv("RESNET_UPDATE") != nullptr) std::ofstream(path) << expected;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == expected) << path << " is stale; run ops_test with RESNET_UPDATE=1";
}

}  // namespace
}  // namespace resnet::testing
