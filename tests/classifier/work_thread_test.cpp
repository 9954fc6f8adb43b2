#include "classifier/work_thread.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace resnet {
namespace {

TEST(WorkThread, DoesOneThingAfterTheOtherForMany) {
  WorkThread work;
  int count = 0, failures = 0;  // without locks: only the work thread touches them
  std::thread::id id;
  work.run([&] { id = std::this_thread::get_id(); });
  EXPECT_NE(id, std::this_thread::get_id());
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        int mine = 0;
        work.run([&] {
          failures += std::this_thread::get_id() != id;
          mine = ++count;
        });
        if (mine == 0) throw std::logic_error("returned before the work was done");
        const std::string text = std::to_string(1000 * t + i);
        try {
          work.run([&] { throw std::runtime_error(text); });
          throw std::logic_error("the exception is lost");
        } catch (const std::runtime_error& e) {
          if (e.what() != text) throw std::logic_error("another caller's exception");
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(count, 1600);
  EXPECT_EQ(failures, 0);
}

TEST(WorkThread, KeepsTheOrderInWhichItWasAsked) {
  WorkThread work;
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) work.run([&order, i] { order.push_back(i); });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace resnet
