// The log in Caffe's form, read as Caffe's scripts read it, and by them where they are.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <map>
#include <regex>
#include <sstream>

#include "exchange/python.h"
#include "resnet/io/files.h"
#include "test_paths.h"
#include "train/logged_run.h"

namespace resnet::testing {
namespace {

using Row = std::map<std::string, double>;  // of a table: NumIters, LearningRate and the outputs
struct Tables {
  std::vector<Row> train, test;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What tools/extra/parse_log.py takes from a log: patterns for the iteration, the rate and the outputs; a row
// for each iteration.
Tables parse(const std::vector<std::string>& lines) {
  const std::regex iteration_of(R"(Iteration (\d+))");
  const std::regex output_of(R"((Train|Test) net output #(\d+): (\S+) = ([\.\deE+-]+))");
  const std::regex rate_of(R"(lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?))");
  Tables tables;
  double iteration = -1, rate = 0;
  bool solving = false;
  std::smatch match;
  for (const std::string& line : lines) {
    solving |= line.find("Solving") != std::string::npos;
    if (!solving) continue;
    if (std::regex_search(line, match, iteration_of)) iteration = std::stod(match[1]);
    if (std::regex_search(line, match, rate_of)) rate = std::stod(match[1]);
    if (!std::regex_search(line, match, output_of)) continue;
    std::vector<Row>& rows = match[1] == "Train" ? tables.train : tables.test;
    if (rows.empty() || rows.back().at("NumIters") != iteration) {
      rows.push_back({{"NumIters", iteration}, {"LearningRate", rate}});
    }
    rows.back()[match[3]] = std::stod(match[4]);
  }
  return tables;
}

// The tables hold what the run reported.
void expect_tables(const Tables& tables, const Recorder& recorder) {
  std::vector<StepReport> shown;
  for (const StepReport& step : recorder.steps) {
    if (step.iteration % 2 == 0) shown.push_back(step);
  }
  const auto expect_rows = [](const std::vector<Row>& rows, const auto& reports) {
    ASSERT_EQ(rows.size(), reports.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].at("NumIters"), static_cast<double>(reports[i].iteration));
      for (const Metric& metric : reports[i].metrics) {
        ASSERT_TRUE(rows[i].contains(metric.name)) << metric.name;
        EXPECT_NEAR(rows[i].at(metric.name), metric.value, 1e-5 * (1 + std::abs(metric.value)));
      }
    }
  };
  expect_rows(tables.train, shown);
  expect_rows(tables.test, recorder.tests);
  for (size_t i = 1; i < tables.train.size(); ++i) {  // a row comes before its rate
    EXPECT_NEAR(tables.train[i].at("LearningRate"), shown[i - 1].rate, 1e-9);
  }
}

class CaffeLog : public ::testing::Test {
 protected:
  CaffeLog() { write_small_cifar(dir_.path()); }

  Recorder run(const std::string& state = "") {
    return logged_run(dir_.path(), state,
                      [&](const Net&) { return one(caffe_log_observer(path_)); });
  }

  ScratchDirectory dir_;
  const std::string path_ = dir_ / "caffe.log";
};

TEST_F(CaffeLog, EveryLineIsGlogs) {
  run();
  const std::regex glog(
      R"([IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (sgd_)?solver\.cpp:\d+\] (\S.*|    \S.*))");
  const std::vector<std::string> lines = lines_of(read_file(path_));
  for (const std::string& line : lines) EXPECT_TRUE(std::regex_match(line, glog)) << line;
  // The month and the day as extract_seconds.py takes them.
  const int month = std::stoi(lines[0].substr(1, 2)), day = std::stoi(lines[0].substr(3, 2));
  EXPECT_TRUE(month >= 1 && month <= 12 && day >= 1 && day <= 31) << lines[0];
}

TEST_F(CaffeLog, HasCaffesSentencesAndNothingElse) {
  run();
  const std::vector<std::regex> known = {
      std::regex("Solving small"),
      std::regex("Learning Rate Policy: multistep"),
      std::regex(R"(Iteration \d+ \(\S+ iter/s, \S+s/2 iters\), loss = \S+)"),
      std::regex(R"(    (Train|Test) net output #\d: accuracy\S* = \S+)"),
      std::regex(R"(    (Train|Test) net output #\d: loss = (\S+) \(\* 1 = \2 loss\))"),
      std::regex(R"(Iteration \d+, lr = \S+)"),
      std::regex(R"(Iteration \d+, Testing net \(#0\))"),
      std::regex(R"(Snapshotting (solver state )?to binary proto file \S+)"),
      std::regex(R"(Iteration \d+, loss = \S+)"),
      std::regex("Optimization Done."),
  };
  std::vector<int> seen(known.size());
  for (const std::string& line : lines_of(read_file(path_))) {
    const std::string text = line.substr(line.find("] ") + 2);
    bool found = false;
    for (size_t i = 0; i < known.size(); ++i) {
      if (!std::regex_match(text, known[i])) continue;
      found = true;
      ++seen[i];
    }
    EXPECT_TRUE(found) << line;
  }
  for (size_t i = 0; i < known.size(); ++i) EXPECT_GT(seen[i], 0) << i;
}

TEST_F(CaffeLog, IsReadAsCaffesScriptsDo) {
  const Recorder recorder = run();
  expect_tables(parse(lines_of(read_file(path_))), recorder);
}

// parse_log.py would take the sign of "-nan" for a number, and fail.
TEST_F(CaffeLog, WhatIsNotANumberHasNoSign) {
  const auto log = caffe_log_observer(path_);
  TestReport test;
  test.metrics = {{"loss", Output::Kind::loss, -std::nan(""), 8, 1}};
  log->on_test(test);
  const std::string line = lines_of(read_file(path_)).at(0);
  EXPECT_TRUE(line.ends_with("    Test net output #0: loss = nan (* 1 = nan loss)")) << line;
}

TEST_F(CaffeLog, AResumedRunGoesOnInTheFile) {
  run();
  write_text(path_, read_file(path_) + "I1128 16:20:00.12");  // what a killed run may leave
  const size_t before = lines_of(read_file(path_)).size();
  const Recorder recorder = run(snapshot_paths(dir_ / "run", 5).state);
  std::vector<std::string> lines = lines_of(read_file(path_));
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(before));
  ASSERT_GT(lines.size(), 3U);
  EXPECT_NE(lines[0].find("] Solving small"), std::string::npos);
  EXPECT_NE(lines[2].find("] Restoring previous solver status from "), std::string::npos);
  expect_tables(parse(lines), recorder);
}

TEST_F(CaffeLog, ANumberThatIsNoneEndsItWithAnError) {
  const auto log = caffe_log_observer(path_);
  log->on_start({});
  StopReport stop;
  stop.why = StopReport::Why::non_finite;
  stop.message = "iteration 3: the loss is NaN";
  log->on_stop(stop);
  const std::string last = lines_of(read_file(path_)).back();
  EXPECT_EQ(last[0], 'E');
  EXPECT_TRUE(last.ends_with("] iteration 3: the loss is NaN")) << last;
}

TEST_F(CaffeLog, IsReadByCaffesOwnScript) {
  const char* const tools = std::getenv("RESNET_CAFFE_TOOLS");
  if (tools == nullptr) {
    GTEST_SKIP() << "RESNET_CAFFE_TOOLS does not name a folder with Caffe's parse_log.py and "
                    "extract_seconds.py (tools/extra of its sources)";
  }
  const test::Python python = test::python_with({});
  const Recorder recorder = run();
  const test::PythonResult read =
      test::run_python(python, {source_dir() + "/tests/train/run_parse_log.py", tools, path_});
  ASSERT_EQ(read.code, 0) << read.output;
  google::protobuf::Struct object;
  const std::string json = read.output.substr(read.output.rfind("\n{") + 1);
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok()) << read.output;
  Tables tables;
  for (auto [key, rows] : {std::pair{"train", &tables.train}, std::pair{"test", &tables.test}}) {
    for (const auto& row : object.fields().at(key).list_value().values()) {
      rows->emplace_back();
      for (const auto& [name, value] : row.struct_value().fields()) {
        rows->back()[name] = value.number_value();
      }
      EXPECT_GE(rows->back().at("Seconds"), 0);
    }
  }
  expect_tables(tables, recorder);
}

}  // namespace
}  // namespace resnet::testing
