// The wording of the log, which other people's scripts read, and the JSON lines.
#include <gtest/gtest.h>

#include <regex>

#include "resnet/io/files.h"
#include "resnet/solver/observer.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

std::vector<std::string> lines_of(const std::function<void(Observer&)>& events) {
  std::vector<std::string> lines;
  const auto console = console_observer([&](const std::string& line) { lines.push_back(line); });
  events(*console);
  return lines;
}

StepReport step_10() {
  StepReport step;
  step.iteration = 10;
  step.rate = 0.05;
  step.loss = 2.07889;
  step.smoothed_loss = 2.101961;
  step.metrics = {{"accuracy", Output::Kind::metric, 0.25, 16, 0},
                  {"loss", Output::Kind::loss, 2.07889, 16, 1}};
  step.images = 16;
  step.epoch = 2.75;
  step.seconds = 0.028;
  step.data_seconds = 0.007;
  return step;
}

TEST(Console, HasCaffesWordingWithOursAfterIt) {
  const std::vector<std::string> lines = lines_of([](Observer& console) {
    StartReport start;
    start.net = "Tiny";
    start.lr_policy = "multistep";
    start.max_iter = 50;
    start.display = 10;
    console.on_start(start);
    console.on_step(step_10());
    TestReport test;
    test.iteration = 20;
    test.images = test.records = 64;
    test.metrics = {{"accuracy", Output::Kind::metric, 0.109375, 64, 0},
                    {"loss", Output::Kind::loss, 77.7841, 64, 1}};
    test.error = 1 - 0.109375;
    console.on_test_start(20);
    console.on_test(test);
    console.on_snapshot_start(snapshot_paths("snap/main", 25));
    console.on_stop({StopReport::Why::finished, 50, 0.5, "", {}});
  });
  const std::vector<std::string> wanted = {
      "Solving Tiny",
      "Learning Rate Policy: multistep",
      "Device ",
      "Iteration 10 (357.143 iter/s, 0.028s/10 iters), loss = 2.10196, epoch 2.75, 571.4 images/s, "
      "data 25.0 %, ETA 0:00:01",
      "    Train net output #0: accuracy = 0.25",
      "    Train net output #1: loss = 2.07889 (* 1 = 2.07889 loss)",
      "Iteration 10, lr = 0.05",
      "Iteration 20, Testing net (#0)",
      "    Test net output #0: accuracy = 0.109375",
      "    Test net output #1: loss = 77.7841 (* 1 = 77.7841 loss)",
      "    Test on 64 images: error 89.06 %",
      "Snapshotting to binary proto file snap/main_iter_25.caffemodel",
      "Snapshotting solver state to binary proto file snap/main_iter_25.solverstate",
      "Iteration 50, loss = 0.5",
      "Optimization Done."};
  ASSERT_EQ(lines.size(), wanted.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].substr(0, wanted[i].size()), wanted[i]);
    if (i != 2) {
      EXPECT_EQ(lines[i], wanted[i]);
    }
  }
}

TEST(Console, IsReadByCaffesPatterns) {
  // What Caffe's tools/extra/parse_log.py looks for.
  const std::vector<std::string> lines = lines_of([](Observer& console) {
    StartReport start;
    start.display = 10;
    console.on_start(start);
    console.on_step(step_10());
  });
  std::smatch match;
  ASSERT_TRUE(std::regex_search(lines[3], match, std::regex(R"(Iteration (\d+))")));
  EXPECT_EQ(match[1], "10");
  ASSERT_TRUE(std::regex_search(lines[5], match,
                                std::regex(R"(Train net output #(\d+): (\S+) = ([\.\deE+-]+))")));
  EXPECT_EQ(match[2], "loss");
  EXPECT_EQ(match[3], "2.07889");
  ASSERT_TRUE(std::regex_search(lines[6], match,
                                std::regex(R"(lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?))")));
  EXPECT_EQ(match[1], "0.05");
}

TEST(Console, SaysNothingBetweenDisplays) {
  const std::vector<std::string> lines = lines_of([](Observer& console) {
    StartReport start;
    start.display = 20;
    console.on_start(start);
    console.on_step(step_10());
  });
  EXPECT_EQ(lines.size(), 3u);
}

TEST(JsonLog, HasOneObjectALine) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  TrainRun run(changed(kSmallSolver, "max_iter: 5"), small_train_net(dir.path()), dir / "run");
  const auto log = json_observer(dir / "run.log.jsonl");
  Solver solver({run.param, dir / "run", run.seed, {log.get()}, {}}, run.net, run.train, &run.test);
  solver.run();
  std::istringstream lines(read_file(dir / "run.log.jsonl"));
  std::string events;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(
        line, match, std::regex(R"re(\{"event":"(\w+)","iteration":(\d+),"time":\d+.*\})re")))
        << line;
    events += match[1].str() + match[2].str() + " ";
  }
  EXPECT_EQ(events, "start0 warning0 test0 step0 step2 test4 step4 snapshot5 stop5 ");
}

TEST(JsonLog, AFileThatCannotBeWrittenStopsNothing) {
  const auto log = json_observer("/nonexistent/run.log.jsonl");
  log->on_start({});
  log->on_stop({});
}

}  // namespace
}  // namespace resnet::testing
