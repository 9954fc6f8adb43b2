// Event files: the framing, what they say of a run, and what TensorBoard's own readers make of them.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "exchange/python.h"
#include "resnet/io/files.h"
#include "solver/event_file.h"
#include "test_paths.h"
#include "train/logged_run.h"

namespace resnet::testing {
namespace {

using tensorboard::Event;

// Undoes the framing's turn and shift.
uint32_t unmasked(uint32_t masked) {
  const uint32_t turned = masked - 0xA282EAD8U;
  return (turned >> 17) | (turned << 15);
}

template <class Integer>
Integer take(std::string_view* bytes) {
  Integer value = 0;
  std::memcpy(&value, bytes->data(), sizeof value);
  bytes->remove_prefix(sizeof value);
  return value;
}

std::vector<std::string> event_files(const std::string& dir) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Expects whole records with right checksums.
std::vector<Event> read_events(const std::string& path) {
  const std::string file = read_file(path);
  std::string_view rest = file;
  std::vector<Event> events;
  while (rest.size() >= 16) {
    const uint32_t length_sum = masked_crc32c(rest.substr(0, 8));
    const auto length = take<uint64_t>(&rest);
    EXPECT_EQ(take<uint32_t>(&rest), length_sum);
    if (length + 4 > rest.size()) break;
    const std::string_view bytes = rest.substr(0, length);
    rest.remove_prefix(length);
    EXPECT_EQ(take<uint32_t>(&rest), masked_crc32c(bytes));
    events.emplace_back();
    EXPECT_TRUE(events.back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  }
  EXPECT_TRUE(rest.empty());
  return events;
}

using Points = std::vector<std::pair<int64_t, double>>;  // step, value

std::map<std::string, Points> scalars(const std::vector<Event>& events) {
  std::map<std::string, Points> tags;
  for (const Event& event : events) {
    for (const auto& value : event.summary().value()) {
      if (value.has_histo()) continue;
      tags[value.tag()].emplace_back(event.step(), value.simple_value());
    }
  }
  return tags;
}

// What a run's reports say under these tags, from iteration `from` on.
std::map<std::string, Points> expected(const Recorder& recorder, int64_t every) {
  std::map<std::string, Points> tags;
  for (const StepReport& step : recorder.steps) {
    if (step.iteration % every != 0) continue;
    tags["loss/train"].emplace_back(step.iteration, step.smoothed_loss);
    tags["error_top1/train"].emplace_back(step.iteration, 100 * step.error.value());
    tags["lr"].emplace_back(step.iteration, step.rate);
  }
  for (const TestReport& test : recorder.tests) {
    tags["loss/test"].emplace_back(test.iteration, total_loss(test.metrics));
    tags["error_top1/test"].emplace_back(test.iteration, 100 * test.error.value());
    tags["error_top5/test"].emplace_back(test.iteration, 100 * test.error_top5.value());
  }
  return tags;
}

void expect_points(const Points& found, const Points& wanted, const std::string& tag) {
  ASSERT_EQ(found.size(), wanted.size()) << tag;
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(found[i].first, wanted[i].first) << tag;
    EXPECT_NEAR(found[i].second, wanted[i].second, 1e-5 * (1 + std::abs(wanted[i].second))) << tag;
  }
}

class TensorBoard : public ::testing::Test {
 protected:
  TensorBoard() { write_small_cifar(dir_.path()); }

  Recorder run(const std::string& state = "", const std::string& changes = "") {
    const auto logs = [&](const Net& net) { return one(tensorboard_observer(events_, &net)); };
    return logged_run(dir_.path(), state, logs, changes);
  }

  ScratchDirectory dir_;
  const std::string events_ = dir_ / "events/of/a_run";
};

TEST(EventFile, FramesRecordsAsTensorFlowDoes) {
  EXPECT_EQ(unmasked(masked_crc32c("123456789")), 0xE3069283U);            // RFC 3720's CRC-32C
  EXPECT_EQ(unmasked(masked_crc32c(std::string(32, '\0'))), 0x8A9136AAU);  // its example B.4
  const std::string record = framed("abc");
  ASSERT_EQ(record.size(), 8U + 4 + 3 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
}

TEST(EventFile, NamesSortInTheOrderOfCreation) {
  ScratchDirectory dir;
  std::vector<std::string> made;
  made.reserve(12);
  for (int i = 0; i < 12; ++i) made.push_back(EventFile(dir.path()).path());
  EXPECT_EQ(event_files(dir.path()), made);
  EXPECT_NE(made[0].find("/events.out.tfevents.1"), std::string::npos);
  const std::vector<Event> events = read_events(made[0]);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.7e9);
}

TEST_F(TensorBoard, HasWhatTheRunReports) {
  const Recorder recorder = run();
  const std::vector<std::string> files = event_files(events_);
  ASSERT_EQ(files.size(), 1U);
  const std::vector<Event> events = read_events(files[0]);
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events[1].step(), 0);
  const auto tags = scalars(events);
  for (const auto& [tag, points] : expected(recorder, 2)) {
    ASSERT_TRUE(tags.contains(tag)) << tag;
    expect_points(tags.at(tag), points, tag);
  }
  EXPECT_EQ(tags.at("speed/images_per_s").size(), 5U);
  EXPECT_EQ(tags.at("outputs/train/loss").size(), 5U);
  EXPECT_EQ(tags.at("outputs/test/accuracy_top5").size(), 3U);
}

TEST_F(TensorBoard, HistogramsCountEveryWeight) {
  run();
  std::map<std::string, std::vector<int64_t>> steps;
  for (const Event& event : read_events(event_files(events_)[0])) {
    for (const auto& value : event.summary().value()) {
      if (!value.has_histo()) continue;
      steps[value.tag()].push_back(event.step());
      const auto& histogram = value.histo();
      ASSERT_EQ(histogram.bucket_size(), histogram.bucket_limit_size());
      double count = 0;
      for (const double part : histogram.bucket()) count += part;
      EXPECT_EQ(count, histogram.num());
      EXPECT_EQ(*histogram.bucket_limit().rbegin(), histogram.max());
      EXPECT_LE(histogram.min(), histogram.max());
      EXPECT_LE(histogram.sum() * histogram.sum(),
                histogram.num() * histogram.sum_squares() * (1 + 1e-9));
      if (value.tag() == "weights/fc/weight") {
        EXPECT_EQ(histogram.num(), 80);
      }
    }
  }
  // Tests at 0, 4, 8; snapshots at 5 and 10.
  EXPECT_EQ(steps.at("weights/conv1/weight"), (std::vector<int64_t>{0, 4, 5, 8, 10}));
  EXPECT_TRUE(steps.contains("weights/fc/bias"));
}

TEST_F(TensorBoard, AFolderThatCannotBeMadeEndsTheRun) {
  const auto log = tensorboard_observer("/proc/nonexistent/events");
  EXPECT_NE(error_of<DataError>([&] { log->on_start({}); }).find("/proc/nonexistent"),
            std::string::npos);
}

// A test that was made before the snapshot is not made again: its values must survive.
TEST_F(TensorBoard, RepeatsATestThatTheSnapshotKnows) {
  StartReport start;
  start.iteration = 4;
  start.test.emplace();
  start.test->set_error(0.25);
  start.test->set_loss(1.5);
  tensorboard_observer(events_)->on_start(start);
  const auto tags = scalars(read_events(event_files(events_)[0]));
  expect_points(tags.at("error_top1/test"), {{4, 25}}, "error");
  expect_points(tags.at("loss/test"), {{4, 1.5}}, "loss");
}

TEST_F(TensorBoard, ItsReadersSeeAResumedRunOnce) {
  run();
  const Recorder resumed = run(snapshot_paths(dir_ / "run", 5).state, "max_iter: 14");
  EXPECT_EQ(resumed.start.iteration, 5);
  Recorder whole = run("", "max_iter: 14");  // the same steps without a break, here in a third file
  std::filesystem::remove(event_files(events_)[2]);
  const std::vector<std::string> files = event_files(events_);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(read_events(files[1])[1].step(), 5);

  const test::Python python = test::python_with({"tensorboard"});
  if (!python.skip.empty()) GTEST_SKIP() << python.skip;
  const test::PythonResult read =
      test::run_python(python, {source_dir() + "/tests/train/read_events.py", events_});
  ASSERT_EQ(read.code, 0) << read.output;
  google::protobuf::Struct object;
  const std::string json = read.output.substr(read.output.rfind("\n{") + 1);
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok()) << read.output;
  for (const char* reader : {"accumulator", "plugin"}) {
    const auto& tags = object.fields().at(reader).struct_value().fields();
    for (const auto& [tag, points] : expected(whole, 2)) {
      ASSERT_TRUE(tags.contains(tag)) << tag;
      Points found;
      for (const auto& pair : tags.at(tag).list_value().values()) {
        found.emplace_back(pair.list_value().values(0).number_value(),
                           pair.list_value().values(1).number_value());
      }
      expect_points(found, points, std::string(reader) + " " + tag);
    }
  }
  EXPECT_EQ(object.fields()
                .at("histograms")
                .struct_value()
                .fields()
                .at("weights/fc/weight")
                .number_value(),
            80);
}

}  // namespace
}  // namespace resnet::testing
