// `resnet test --report`: the files, and the folder that appears as a whole or not at all.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cli/tool.h"
#include "resnet/data/writer.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

constexpr char kWeights[] = "--weights=snap/tiny_iter_30.caffemodel";

// Six plain images; the classes red, green and blue are labels 0, 1 and 2. Two labels are wrong.
void write_mislabelled(const std::string& path) {
  const auto writer = open_lmdb_writer(path, {"red", "green", "blue"});
  const std::vector<int64_t> shown = {0, 1, 2, 0, 1, 2}, labels = {0, 1, 2, 1, 1, 0};
  for (size_t i = 0; i < shown.size(); ++i) {
    Record record;
    record.key = "image" + std::to_string(i);
    record.label = labels[i];
    record.shape = {3, 8, 8};
    for (int64_t c = 0; c < 3; ++c) {
      record.bytes.insert(record.bytes.end(), 64, 2 - c == shown[i] ? 180 : 90);
    }
    writer->add(record);
  }
  writer->finish();
}

class Report : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    files_ = new Workspace;
    ASSERT_EQ(files_->train({"--max_iter=30"}).code, 0);
    write_mislabelled(files_->path("six_lmdb"));
  }
  static void TearDownTestSuite() { delete files_; }

  static RunResult run_test(std::vector<std::string> flags) {
    flags.insert(flags.begin(),
                 {"test", "--quiet", "--model=deploy.prototxt", kWeights, "--source=six_lmdb"});
    return files_->run(flags);
  }
  static int64_t count(const std::string& text, const std::string& part) {
    int64_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
      ++found;
    }
    return found;
  }

  // Probabilities by image and label, from a report's predictions.jsonl: all three classes are there.
  static std::vector<std::vector<double>> probabilities(const std::string& report) {
    std::vector<std::vector<double>> rows;
    std::istringstream lines(files_->read(report + "/predictions.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      rows.emplace_back(3, -1);
      const std::string top = line.substr(line.find("\"top\""));
      for (size_t at = top.find('{'); at != std::string::npos; at = top.find('{', at + 1)) {
        const std::string guess = top.substr(at, top.find('}', at) + 1 - at);
        rows.back().at(static_cast<size_t>(json_number(guess, "label").value_or(9))) =
            json_number(guess, "probability").value_or(-1);
      }
    }
    return rows;
  }

  static Workspace* files_;
};
Workspace* Report::files_ = nullptr;

TEST_F(Report, EveryProtocolWritesTheSameFiles) {
  for (const char* protocol : {"1crop", "10crop", "dense"}) {
    const RunResult result =
        run_test({"--json", std::string("--protocol=") + protocol, "--report=out"});
    EXPECT_EQ(result.code, 0) << result.err;
    const std::string json = files_->read("out/report.json");
    EXPECT_EQ(json_number(json, "images"), 6);
    EXPECT_NEAR(json_number(json, "test_error_top1").value_or(0), 100.0 / 3, 1e-9);
    for (const char* key : {"test_error_top1", "test_error_top1_interval", "images", "protocol"}) {
      EXPECT_EQ(json_member(json, key), json_member(result.out, key)) << key;
    }
    for (const char* key : {"negative_log_likelihood", "expected_calibration_error", "nets",
                            "source", "calibration_bins", "class_errors"}) {
      EXPECT_TRUE(json_member(json, key).has_value()) << key;
    }
    EXPECT_EQ(files_->read("out/confusion.csv"),
              "label,name,0,1,2\n0,red,1,0,1\n1,green,1,2,0\n2,blue,0,0,1\n");
    EXPECT_EQ(count(files_->read("out/predictions.jsonl"), "\n"), 6);
    EXPECT_FALSE(files_->has("out.tmp"));
  }
  std::istringstream lines(files_->read("out/predictions.jsonl"));
  std::string line;
  for (int i = 0; i < 4; ++i) std::getline(lines, line);
  EXPECT_NE(json_member(line, "key").value_or("").find("image3"), std::string::npos) << line;
  EXPECT_EQ(json_number(line, "label"), 1) << line;
  EXPECT_EQ(json_member(line, "name"), "\"green\"");
  EXPECT_GT(json_number(line, "rank").value_or(0), 1);
  EXPECT_TRUE(
      files_->read("out/per_class.csv")
          .starts_with(
              "label,name,images,wrong,error_percent,low_percent,high_percent\n0,red,2,1,50,"));
}

TEST_F(Report, TheNetsOwnDataLayerAndAnEnsemble) {
  files_->run_ok({"test", "--quiet", "--model=net.prototxt", kWeights, "--report=own"});
  const std::string own = files_->read("own/report.json");
  EXPECT_EQ(json_number(own, "images"), 10);
  EXPECT_NE(json_member(own, "outputs").value_or("").find("accuracy"), std::string::npos);

  files_->run_ok({"test", "--quiet", "--model=deploy.prototxt,net.prototxt",
                  std::string(kWeights) + ",snap/tiny_iter_30.caffemodel", "--source=six_lmdb",
                  "--report=pair", "--batch=2", "--scales=8"});
  const std::string pair = files_->read("pair/report.json");
  EXPECT_EQ(json_number(pair, "models"), 2);
  EXPECT_NE(json_member(pair, "nets").value_or("").find("net.prototxt"), std::string::npos);
}

TEST_F(Report, AnEnsembleIsTheAverageOfItsModels) {
  const std::string first = "snap/tiny_iter_2.caffemodel", second = "snap/tiny_iter_30.caffemodel";
  const auto run_models = [&](const std::string& nets, const std::string& weights,
                              const std::string& report) {
    files_->run_ok({"test", "--quiet", "--model=" + nets, "--weights=" + weights,
                    "--source=six_lmdb", "--report=" + report});
    return probabilities(report);
  };
  const auto a = run_models("deploy.prototxt", first, "a");
  const auto b = run_models("deploy.prototxt", second, "b");
  const auto both = run_models("deploy.prototxt,deploy.prototxt", first + "," + second, "both");
  ASSERT_EQ(both.size(), 6U);
  EXPECT_NE(a, b);
  for (size_t i = 0; i < 6; ++i) {
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(both[i][k], (a[i][k] + b[i][k]) / 2, 1e-6);
  }
}

// The same bytes for any number of loader threads; the batch may change the last digits.
TEST_F(Report, FiguresDoNotDependOnTheBatch) {
  EXPECT_EQ(run_test({"--report=one", "--batch=1"}).code, 0);
  EXPECT_EQ(run_test({"--report=four", "--batch=4"}).code, 0);
  EXPECT_EQ(files_->read("one/per_class.csv"), files_->read("four/per_class.csv"));
  EXPECT_EQ(files_->read("one/confusion.csv"), files_->read("four/confusion.csv"));
  const auto one = probabilities("one"), four = probabilities("four");
  ASSERT_EQ(one.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(one[i][k], four[i][k], 1e-6);
  }
  EXPECT_EQ(run_test({"--report=again", "--batch=4", "--loader_threads=3"}).code, 0);
  EXPECT_EQ(files_->read("again/report.json"), files_->read("four/report.json"));
  EXPECT_EQ(files_->read("again/predictions.jsonl"), files_->read("four/predictions.jsonl"));
  EXPECT_EQ(files_->read("again/report.html"), files_->read("four/report.html"));
}

TEST_F(Report, ThePageIsOneFileAndEscapes) {
  files_->write("names.txt", "<b>red</b>\n\"gr&en\", 'dark'\nblue\n");
  EXPECT_EQ(run_test({"--report=page", "--labels=names.txt"}).code, 0);
  const std::string page = files_->read("page/report.html");
  EXPECT_EQ(page.find("<b>red"), std::string::npos);
  EXPECT_EQ(page.find("gr&en"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;red&lt;/b&gt;"), std::string::npos);
  EXPECT_NE(page.find("&quot;gr&amp;en&quot;"), std::string::npos);
  for (const char* outside : {"http:", "https:", "<script", "<link", "src='/", "url("}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_EQ(count(page, "<img"), 4);  // two mistakes, in the table and on the wall
  EXPECT_EQ(count(page, "src='data:image/png;base64,"), 4);
  EXPECT_TRUE(files_->read("page/per_class.csv").find("1,\"\"\"gr&en\"\", 'dark'\",") !=
              std::string::npos);
}

TEST_F(Report, TakesThePlaceOfReportsOnly) {
  files_->write("notes", "mine");
  expect_failure(run_test({"--report=notes"}), 2, {"notes", "no folder"});
  std::filesystem::create_directory(files_->path("full"));
  files_->write("full/notes.txt", "mine");
  expect_failure(run_test({"--report=full"}), 2, {"full", "notes.txt"});
  EXPECT_EQ(files_->read("full/notes.txt"), "mine");

  std::filesystem::create_directory(files_->path("empty"));
  EXPECT_EQ(run_test({"--report=empty/"}).code, 0);
  EXPECT_EQ(run_test({"--report=empty"}).code, 0);
  files_->write("empty/notes.txt", "mine");
  expect_failure(run_test({"--report=empty"}), 2, {"empty", "notes.txt"});

  // A file that has the name of one of ours only.
  std::filesystem::create_directory(files_->path("other"));
  files_->write("other/report.json", "{}");
  expect_failure(run_test({"--report=other"}), 2, {"other", "no former report"});
  expect_failure(run_test({"--report=notes/report"}), 3, {"notes"});
}

TEST_F(Report, AFullDiskLeavesTheFormerReport) {
  EXPECT_EQ(run_test({"--report=kept"}).code, 0);
  const std::string former = files_->read("kept/report.html");
  const RunResult result = files_->run({"test", "--quiet", "--model=deploy.prototxt", kWeights,
                                        "--source=six_lmdb", "--report=kept"},
                                       {.file_size_limit = 4000});
  expect_failure(result, 3, {"kept.tmp"});
  EXPECT_EQ(files_->read("kept/report.html"), former);
  EXPECT_FALSE(files_->has("kept.tmp"));
  EXPECT_EQ(run_test({"--report=kept"}).code, 0);
}

TEST_F(Report, NoReportOfATestThatFails) {
  const RunResult gone = files_->run(
      {"test", "--quiet", "--model=deploy.prototxt", kWeights, "--source=gone", "--report=none"});
  expect_failure(gone, 3, {"gone"});
  EXPECT_FALSE(files_->has("none"));
}

// All scores are equal, which counts against the label: the first other class is the guess.
TEST_F(Report, ManyClassesAreListedAsPairs) {
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("fc");
  layer->set_type("InnerProduct");
  set_blob(layer->add_blobs(), {120, 4}, std::vector<float>(480));
  set_blob(layer->add_blobs(), {120}, std::vector<float>(120));
  write_caffemodel(files_->path("many.caffemodel"), net, 1);
  files_->write("many.prototxt", files_->read("deploy.prototxt"));
  files_->replace("many.prototxt", "num_output: 3 }", "num_output: 120 }");
  files_->run_ok({"test", "--quiet", "--model=many.prototxt", "--weights=many.caffemodel",
                  "--allow_missing", "--source=six_lmdb", "--report=many"});
  EXPECT_EQ(files_->read("many/confusion.csv"),
            "label,name,guess,guess_name,images\n1,green,0,red,3\n0,red,1,green,2\n"
            "2,blue,0,red,1\n");
  const std::string json = files_->read("many/report.json");
  EXPECT_EQ(json_number(json, "test_error_top5"), 100);
  EXPECT_NEAR(json_number(json, "negative_log_likelihood").value_or(0), std::log(120), 1e-6);
  const std::string page = files_->read("many/report.html");
  EXPECT_EQ(page.find("Confusion matrix"), std::string::npos);
  EXPECT_NE(page.find("Worst confusions"), std::string::npos);
}

TEST_F(Report, PlainTestsSayIntervalsAndProtocol) {
  const RunResult text = run_test({"--batch=4"});
  EXPECT_NE(text.out.find("error on 6 images (1crop): top-1 33.33 % [9.68, 70.00]"),
            std::string::npos)
      << text.out;
}

}  // namespace
}  // namespace resnet::test
