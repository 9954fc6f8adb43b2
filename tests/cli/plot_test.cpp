// `resnet plot`: what the figures hold, and logs that are not as they should be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "cli/svg_lines.h"
#include "cli/tool.h"

namespace resnet::test {
namespace {

std::string start_line(int iteration, const std::string& more = "") {
  return "{\"event\":\"start\",\"iteration\":" + std::to_string(iteration) +
         ",\"time\":1,\"format\":1,\"net\":\"Tiny\",\"batch\":8" + more + "}\n";
}
std::string step_line(int iteration, const std::string& error, const std::string& loss = "1.5") {
  return "{\"event\":\"step\",\"iteration\":" + std::to_string(iteration) +
         ",\"time\":1,\"epoch\":1,\"lr\":0.1,\"loss\":" + loss +
         ",\"outputs\":{\"accuracy\":0.5},\"train_error_top1\":" + error + "}\n";
}
std::string test_line(int iteration, const std::string& error) {
  return "{\"event\":\"test\",\"iteration\":" + std::to_string(iteration) +
         ",\"time\":1,\"images\":10,\"test_error_top1\":" + error + "}\n";
}

// 41 steps, 0 to 4000, with errors from 80 % on, and five tests.
std::string falling_log() {
  std::string log = start_line(0);
  for (int i = 0; i <= 40; ++i) {
    if (i % 10 == 0) log += test_line(100 * i, std::to_string(90 - 2 * i));
    log += step_line(100 * i, std::to_string(80 - 1.5 * i));
  }
  return log;
}

class Plot : public testing::Test {
 protected:
  RunResult plot(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "plot");
    return files_.run(arguments);
  }
  // The SVG that the arguments give.
  std::string svg(std::vector<std::string> arguments) const {
    arguments.emplace_back("--output=out.svg");
    const RunResult result = plot(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return files_.read("out.svg");
  }
  SvgLine curve(const std::string& svg, const std::string& name) const {
    for (SvgLine& line : svg_curves(svg)) {
      if (line.name == name) return line;
    }
    ADD_FAILURE() << "no curve " << name << " in " << svg;
    return {};
  }
  static bool has_text(const std::string& svg, const std::string& text) {
    const std::vector<std::string> texts = svg_texts(svg);
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  }

  Workspace files_;
};

TEST_F(Plot, HasEveryPointInItsPlace) {
  files_.write("run.log.jsonl", falling_log());
  const std::string out = svg({"run.log.jsonl", "--ylim=0,100"});
  const SvgLine training = curve(out, "run, training"), test = curve(out, "run, test");
  ASSERT_EQ(training.points.size(), 41U);
  ASSERT_EQ(test.points.size(), 5U);
  // Equal steps in x; y falls with the error on one scale for both.
  const double step = training.points[1].first - training.points[0].first;
  for (size_t i = 0; i < 41; ++i) {
    EXPECT_NEAR(training.points[i].first, training.points[0].first + step * double(i), 0.3);
  }
  const double a_percent = (training.points[40].second - training.points[0].second) / 60;
  EXPECT_GT(a_percent, 0);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(test.points[i].first, training.points[10 * i].first, 0.01);
    const double error = 90 - 20 * double(i);
    EXPECT_NEAR(test.points[i].second, training.points[0].second + (80 - error) * a_percent, 0.05);
  }
  // Training thin and dashed, test bold.
  EXPECT_NE(training.attributes.find("stroke-dasharray"), std::string::npos);
  EXPECT_EQ(test.attributes.find("stroke-dasharray"), std::string::npos);
  for (const char* text : {"error (%)", "iteration", "training", "test", "0", "4,000"}) {
    EXPECT_TRUE(has_text(out, text)) << text << " in " << out;
  }
  for (size_t at = 0; (at = out.find("font-size=\"", at)) != std::string::npos; ++at) {
    EXPECT_GE(std::stod(out.substr(at + 11)), 9);
  }
}

TEST_F(Plot, SeveralRunsDifferInMoreThanColour) {
  std::filesystem::create_directory(files_.path("a"));
  std::filesystem::create_directory(files_.path("b"));
  files_.write("a/run.log.jsonl", falling_log());
  files_.write("b/run.log.jsonl", falling_log());
  const std::string out = svg({"a/run.log.jsonl", "b/run.log.jsonl"});
  EXPECT_TRUE(has_text(out, "a/run")) << out;
  EXPECT_TRUE(has_text(out, "b/run"));
  std::set<size_t> corners;  // of the marks
  for (const SvgLine& shape : svg_shapes(out)) corners.insert(shape.points.size());
  EXPECT_GE(corners.size(), 2U);
  const std::string named =
      svg({"a/run.log.jsonl", "b/run.log.jsonl", "--labels=plain & <simple>,ResNet"});
  EXPECT_TRUE(has_text(named, "plain &amp; &lt;simple&gt;")) << named;
  expect_failure(plot({"a/run.log.jsonl", "--labels=a,b", "--output=x.svg"}), 2, {"--labels", "2"});
}

// A corner of the panel is free: the legend lies there. Where none is, it lies above.
TEST_F(Plot, TheLegendCoversNoCurve) {
  files_.write("falling.log.jsonl", falling_log());
  std::string wild = start_line(0);
  for (int i = 0; i <= 400; ++i) wild += step_line(i, i % 2 == 0 ? "0" : "100");
  files_.write("wild.log.jsonl", wild + test_line(400, "50"));
  const auto legend_box = [](const std::string& out) {
    SvgPoints box;
    for (const SvgLine& shape : svg_shapes(out)) {
      if (shape.attributes.find("#c8c8c8") != std::string::npos) box = shape.points;
    }
    return box;
  };
  const std::string inside = svg({"falling.log.jsonl"});
  const SvgPoints box = legend_box(inside);
  ASSERT_EQ(box.size(), 4U);
  for (const SvgLine& line : svg_curves(inside)) {
    for (const auto& [x, y] : line.points) {
      EXPECT_FALSE(x > box[0].first && x < box[2].first && y > box[0].second && y < box[2].second);
    }
  }
  const std::string above = svg({"wild.log.jsonl"});
  EXPECT_TRUE(legend_box(above).empty());
  EXPECT_TRUE(has_text(above, "training"));
}

TEST_F(Plot, APngHasTheAskedSize) {
  files_.write("run.log.jsonl", falling_log());
  EXPECT_EQ(plot({"run.log.jsonl", "--output=out.png"}).code, 0);
  const auto size = [&](const std::string& name) {
    const std::string png = files_.read(name);
    EXPECT_TRUE(png.starts_with("\x89PNG"));
    const auto number = [&](size_t at) {
      int value = 0;
      for (size_t i = 0; i < 4; ++i) value = value * 256 + static_cast<unsigned char>(png[at + i]);
      return value;
    };
    return std::pair(number(16), number(20));
  };
  EXPECT_EQ(size("out.png"), std::pair(1050, 788));  // 252 x 189 points at 300 pixels an inch
  EXPECT_EQ(plot({"run.log.jsonl", "--width=400", "--height=144", "--dpi=72", "--output=o.png",
                  "--what=error,loss"})
                .code,
            0);
  EXPECT_EQ(size("o.png"), std::pair(400, 144));
}

TEST_F(Plot, AResumedRunIsOneCurve) {
  // The first part went on to 7 after the snapshot at 4, where a test came before the snapshot.
  std::string log = start_line(0);
  for (int i = 0; i <= 7; ++i) {
    if (i == 4 || i == 6) log += test_line(i, "50");
    log += step_line(i, "60");
  }
  log += "{\"event\":\"step\",\"iter\n" + start_line(4);
  for (int i = 4; i <= 9; ++i) log += step_line(i, "40");
  files_.write("run.log.jsonl", log + test_line(10, "30"));
  const RunResult result = plot({"run.log.jsonl", "--output=out.svg"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("run.log.jsonl:12: "), std::string::npos) << result.err;
  const std::string out = files_.read("out.svg");
  const SvgLine training = curve(out, "run, training");
  ASSERT_EQ(training.points.size(), 10U);
  EXPECT_EQ(training.points[3].second, training.points[0].second);
  EXPECT_GT(training.points[4].second, training.points[3].second);
  EXPECT_EQ(curve(out, "run, test").points.size(), 2U);
}

TEST_F(Plot, ADamagedEndIsNoted) {
  files_.write("run.log.jsonl", falling_log() + "{\"event\":\"step\",\"itera");
  const RunResult result = plot({"run.log.jsonl", "--output=out.svg"});
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(result.err.find("run.log.jsonl:48: is cut short"), std::string::npos) << result.err;
}

TEST_F(Plot, BadLogsAreNamedWithTheLine) {
  const auto fails = [&](const std::string& text, const std::vector<std::string>& parts) {
    files_.write("bad.log.jsonl", text);
    expect_failure(plot({"bad.log.jsonl", "--output=out.svg"}), 3, parts);
  };
  expect_failure(plot({"none.log.jsonl", "--output=out.svg"}), 3, {"none.log.jsonl"});
  fails("", {"bad.log.jsonl: is empty"});
  fails("\n \n", {"bad.log.jsonl: is empty"});
  fails(start_line(0), {"bad.log.jsonl: holds no training step and no test"});
  fails("This is a letter.\n", {"holds no training step and no test"});
  fails(start_line(0) + "{\"event\":\n" + step_line(1, "5"), {"bad.log.jsonl:2: is not a JSON"});
  fails(start_line(0) + "{\"a\":1}\n", {"bad.log.jsonl:2: has no event"});
  fails("{\"event\":\"start\",\"iteration\":0,\"format\":2}\n", {":1: has format 2"});
  fails(start_line(0) + step_line(5, "5") + step_line(4, "5"),
        {":3: iteration 4 comes after a later one"});
  fails(start_line(0) + step_line(0, "null", "null") + step_line(1, "null", "null"),
        {"logs no loss"});
}

TEST_F(Plot, RunsWithoutTestsOrWithoutErrors) {
  std::string log = start_line(0);
  for (int i = 0; i < 5; ++i) log += step_line(i, "50");
  files_.write("run.log.jsonl", log);
  const std::string out = svg({"run.log.jsonl"});
  ASSERT_EQ(svg_curves(out).size(), 1U);
  // Alone it has no need of dashes.
  EXPECT_EQ(svg_curves(out)[0].attributes.find("stroke-dasharray"), std::string::npos);

  log = start_line(0);
  for (int i = 0; i < 5; ++i) {
    log += "{\"event\":\"step\",\"iteration\":" + std::to_string(i) + ",\"loss\":2,\"lr\":0.1}\n";
  }
  files_.write("plain.log.jsonl", log);
  EXPECT_TRUE(has_text(svg({"plain.log.jsonl"}), "loss"));
  EXPECT_TRUE(has_text(svg({"plain.log.jsonl", "--what=loss,lr"}), "learning rate"));
  expect_failure(plot({"plain.log.jsonl", "--what=error", "--output=o.svg"}), 3,
                 {"plain.log.jsonl: logs no error", "--what=loss"});
  const RunResult both = plot({"run.log.jsonl", "plain.log.jsonl", "--output=o.svg"});
  EXPECT_EQ(both.code, 0);
  EXPECT_NE(both.err.find("plain.log.jsonl: logs no error (%) and is left out"), std::string::npos);

  files_.write("one.log.jsonl", start_line(0) + test_line(7, "30"));  // a dot
  EXPECT_EQ(svg_curves(svg({"one.log.jsonl"})).size(), 0U);
  EXPECT_FALSE(svg_shapes(svg({"one.log.jsonl"})).empty());
}

TEST_F(Plot, WhatIsNoNumberIsAGap) {
  std::string log = start_line(0);
  for (int i = 0; i < 9; ++i) log += step_line(i, i == 4 ? "null" : "50");
  files_.write("run.log.jsonl", log);
  const std::vector<SvgLine> parts = svg_curves(svg({"run.log.jsonl"}));
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].points.size(), 4U);
  EXPECT_EQ(parts[1].points.size(), 4U);
}

TEST_F(Plot, ALogarithmicAxisHasEqualDecades) {
  std::string log = start_line(0);
  const char* const losses[] = {"100", "10", "1", "0.1", "0"};
  for (int i = 0; i < 5; ++i) log += step_line(i, "50", losses[i]);
  files_.write("run.log.jsonl", log);
  const RunResult result = plot({"run.log.jsonl", "--what=loss", "--log", "--output=out.svg"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("loss: 1 values"), std::string::npos) << result.err;
  const SvgPoints points = curve(files_.read("out.svg"), "run, training").points;
  ASSERT_EQ(points.size(), 4U);
  for (size_t i = 1; i + 1 < 4; ++i) {
    EXPECT_NEAR(points[i + 1].second - points[i].second, points[i].second - points[i - 1].second,
                0.03);
  }
  expect_failure(plot({"run.log.jsonl", "--log", "--ylim=0,1", "--output=o.svg"}), 2, {"--ylim"});
}

TEST_F(Plot, LongRunsAreThinned) {
  std::string log = start_line(0);
  for (int i = 0; i < 64000; ++i) log += step_line(i, i % 2 == 0 ? "40" : "60");
  files_.write("run.log.jsonl", log);
  const std::string out = svg({"run.log.jsonl", "--ylim=0,100"});
  const SvgPoints points = curve(out, "run, training").points;
  EXPECT_GT(points.size(), 400U);
  EXPECT_LT(points.size(), 600U);
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(), [](auto& a, auto& b) { return a.second < b.second; });
  EXPECT_LT(high->second - low->second, 1);  // means of neighbours
  EXPECT_TRUE(has_text(out, "iteration (1e4)"));
  EXPECT_TRUE(has_text(out, "6"));
}

TEST_F(Plot, CurvesStayInsideTheLimits) {
  files_.write("run.log.jsonl", falling_log());
  const std::string out = svg({"run.log.jsonl", "--ylim=40,60", "--xlim=1000,3000"});
  const SvgPoints frame = [&] {  // of all lines the one that returns to its start
    SvgPoints points;
    const size_t begin = out.rfind("<polyline points=\"", out.find("error (%)")) + 18;
    std::istringstream in(out.substr(begin, out.find('"', begin) - begin));
    double x = 0, y = 0;
    char comma = 0;
    while (in >> x >> comma >> y) points.emplace_back(x, y);
    return points;
  }();
  ASSERT_EQ(frame.size(), 5U);
  for (const SvgLine& line : svg_curves(out)) {
    for (const auto& [x, y] : line.points) {
      EXPECT_GE(x, frame[0].first - 0.01);
      EXPECT_LE(x, frame[2].first + 0.01);
      EXPECT_GE(y, frame[0].second - 0.01);
      EXPECT_LE(y, frame[2].second + 0.01);
    }
  }
}

TEST_F(Plot, SmoothingAveragesNeighbours) {
  std::string log = start_line(0);
  for (int i = 0; i < 30; ++i) log += step_line(i, i % 3 == 0 ? "90" : "30");
  files_.write("run.log.jsonl", log);
  const SvgPoints points =
      curve(svg({"run.log.jsonl", "--smooth=3", "--ylim=0,100"}), "run, training").points;
  for (size_t i = 2; i + 2 < points.size(); ++i) {
    EXPECT_NEAR(points[i].second, points[1].second, 0.02);
  }
}

TEST_F(Plot, BadFlags) {
  files_.write("run.log.jsonl", falling_log());
  const auto fails = [&](const std::string& flag, const std::vector<std::string>& parts) {
    expect_failure(plot({"run.log.jsonl", flag, "--output=out.svg"}), 2, parts);
  };
  expect_failure(plot({"--output=out.svg"}), 2, {"no log"});
  expect_failure(plot({"run.log.jsonl"}), 2, {"--output"});
  expect_failure(plot({"run.log.jsonl", "--output=out.gif"}), 2, {"--output", ".svg", ".png"});
  fails("--what=speed", {"--what", "'speed'"});
  fails("--ylim=5", {"--ylim", "'5'"});
  fails("--ylim=5,x", {"--ylim"});
  fails("--xlim=5,5", {"--xlim"});
  fails("--xlim=0,1e999", {"--xlim"});
  fails("--ylim=1e17,1.0000000000000002e17", {"--ylim"});
  fails("--smooth=0", {"--smooth"});
  fails("--width=10", {"--width"});
  fails("--dpi=1", {"--dpi"});
  std::vector<std::string> many(20, "run.log.jsonl");
  many.insert(many.end(), {"--output=out.svg", "--height=150"});
  expect_failure(plot(many), 2, {"no room", "larger"});
}

TEST_F(Plot, ReadsCaffesLogAsItReadsOurs) {
  files_.replace("net.prototxt", "include { phase: TEST } }\nlayer { name: \"loss\"",
                 "}\nlayer { name: \"loss\"");
  EXPECT_EQ(files_.train({"--max_iter=8", "--caffe_log=logs/caffe.log"}).code, 0);
  for (const char* what : {"error", "loss", "lr"}) {
    const auto points = [&](const std::string& log) {
      std::vector<SvgLine> curves =
          svg_curves(svg({log, "--labels=run", std::string("--what=") + what}));
      EXPECT_GE(curves.size(), 1U);
      return curves;
    };
    const std::vector<SvgLine> ours = points("snap/tiny.log.jsonl"),
                               caffes = points("logs/caffe.log");
    ASSERT_EQ(ours.size(), caffes.size()) << what;
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].name, caffes[i].name);
      ASSERT_EQ(ours[i].points.size(), caffes[i].points.size()) << what;
      for (size_t k = 0; k < ours[i].points.size(); ++k) {
        EXPECT_NEAR(ours[i].points[k].first, caffes[i].points[k].first, 0.02);
        EXPECT_NEAR(ours[i].points[k].second, caffes[i].points[k].second, 0.02);
      }
    }
  }
}

TEST_F(Plot, TrainDrawsItsCurveInBothForms) {
  expect_failure(files_.train({"--curve=curve.gif"}), 2, {"--curve", ".svg"});
  EXPECT_FALSE(files_.has("snap/tiny.log.jsonl"));  // before anything was done
  EXPECT_EQ(files_.train({"--curve=curve.svg"}).code, 0);
  const std::string out = files_.read("curve.svg");
  for (const char* text : {"Tiny on onednn", "loss", "error (%)", "lr 0.1"}) {
    EXPECT_TRUE(has_text(out, text)) << text;
  }
  EXPECT_EQ(files_.train({"--curve=curve.png", "--max_iter=5"}).code, 0);
  EXPECT_TRUE(files_.read("curve.png").starts_with("\x89PNG"));
}

TEST_F(Plot, TrainWritesTheOtherLogs) {
  EXPECT_EQ(files_.train({"--tensorboard=events", "--tensorboard_histograms"}).code, 0);
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(files_.path("events"))) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("events.out.tfevents."));
    ++count;
  }
  EXPECT_EQ(count, 1);
  expect_failure(files_.train({"--tensorboard_histograms"}), 2, {"--tensorboard=DIR"});
  expect_failure(files_.train({"--tensorboard=/proc/nonexistent/x"}), 3, {"/proc/nonexistent"});
  EXPECT_EQ(files_.train({"--dry_run", "--tensorboard=dry", "--caffe_log=dry.log"}).code, 0);
  EXPECT_FALSE(files_.has("dry"));
  EXPECT_FALSE(files_.has("dry.log"));
}

}  // namespace
}  // namespace resnet::test
