// Chunks of iterations, and batches that are drawn from a data set held by the device.
#include "resnet/net/trainer.h"

#include <gtest/gtest.h>

#include "resnet/io/mean_file.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

constexpr int kSteps = 13;  // of 8 of 40 images: into the third epoch

// Losses and weights of some steps, with batches filled by the feed or drawn.
std::vector<HostArray> train(TrainRun& run, bool drawn, std::vector<double>* losses) {
  Trainer trainer(run.net, {.seed = run.seed});
  if (drawn) {
    auto data = run.train.hold(1 << 20);
    EXPECT_TRUE(data.has_value());
    EXPECT_TRUE(trainer.hold(std::move(*data)));
  }
  for (int step = 0; step < kSteps; ++step) {
    const Update update{.rate = 0.01, .momentum = 0.9};
    trainer.begin(std::span(&update, 1));
    trainer.iterate([&] { run.train.fill(run.net, run.net.session(TRAIN)); });
    trainer.end();
    losses->push_back(total_loss(trainer.take(true)->batches.at(0)));
  }
  return run.weights();
}

void expect_drawn_as_fed(const std::string& dir, const std::string& transform) {
  SCOPED_TRACE(transform);
  std::string net = small_train_net(dir);
  const std::string usual = "mean_value: 128 scale: 0.01 crop_size: 24 mirror: true pad: 2 ";
  ASSERT_NE(net.find(usual), std::string::npos);
  net.replace(net.find(usual), usual.size(), transform);
  TrainRun fed(kSmallSolver, net, dir + "/fed"), drawn(kSmallSolver, net, dir + "/drawn");
  std::vector<double> fed_losses, drawn_losses;
  const std::vector<HostArray> expected = train(fed, false, &fed_losses);
  expect_equal(train(drawn, true, &drawn_losses), expected);
  EXPECT_EQ(drawn_losses, fed_losses);
}

TEST(Trainer, DrawsTheBatchesThatTheFeedMakes) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  const auto values = [](int64_t count, int period) {
    std::vector<float> all;
    for (int64_t i = 0; i < count; ++i) all.push_back(static_cast<float>(i % period));
    return all;
  };
  write_mean(dir / "mean.binaryproto", {.shape = {3, 32, 32}, .values = values(3 * 32 * 32, 251)});
  write_mean(dir / "window.binaryproto",
             {.shape = {3, 24, 24}, .values = values(3 * 24 * 24, 127)});
  const std::string file = "mean_file: '" + dir.path() + "/";
  expect_drawn_as_fed(dir.path(), "mean_value: 128 scale: 0.01 crop_size: 24 mirror: true pad: 2 ");
  expect_drawn_as_fed(dir.path(), "scale: 0.01 crop_size: 24 ");
  expect_drawn_as_fed(dir.path(),
                      "mean_value: 1 mean_value: 2 mean_value: 3 crop_size: 24 pad: 4 ");
  expect_drawn_as_fed(dir.path(), file + "mean.binaryproto' crop_size: 24 pad: 1 mirror: true ");
  expect_drawn_as_fed(dir.path(), file + "window.binaryproto' crop_size: 24 mirror: true ");
}

TEST(Feed, HoldsOnlyWhatTheDeviceCanDraw) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  TrainRun run(kSmallSolver, small_train_net(dir.path()), dir / "run");
  EXPECT_TRUE(run.train.hold(kTrainRecords * 3 * 32 * 32).has_value());
  EXPECT_FALSE(run.train.hold(kTrainRecords * 3 * 32 * 32 - 1).has_value());
  EXPECT_FALSE(run.test.hold(1 << 30).has_value());
  std::string scaled = small_train_net(dir.path());
  scaled.replace(scaled.find("mirror: true"), 12, "resize_shorter_min: 28");
  TrainRun resizing(kSmallSolver, scaled, dir / "run");
  EXPECT_FALSE(resizing.train.hold(1 << 30).has_value());
}

}  // namespace
}  // namespace resnet::testing
