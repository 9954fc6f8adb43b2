// `resnet convert` for image files: every kind of source, and a process that is stopped or killed.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

#include "cli/tool.h"
#include "resnet/data/source.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

std::string two_digits(int number) { return (number < 10 ? "0" : "") + std::to_string(number); }

class ConvertCommand : public testing::Test {
 protected:
  // Images of three classes, "set/CLASS/NN.ppm", with a list of them and a tar file.
  void write_set(int images) const {
    std::string list;
    const Arguments classes = {"n01", "n02", "n03"};
    for (const std::string& name : classes) fs::create_directories(files_.path("set/" + name));
    for (int i = 0; i < images; ++i) {
      const auto label = static_cast<size_t>(i * 3 / images);
      const std::string name = classes[label] + "/" + two_digits(i) + ".ppm";
      files_.write_image("set/" + name, 9, 7, i, 2 * i, 255 - i);
      list += name + " " + std::to_string(label) + "\n";
    }
    files_.write("list.txt", list);
    files_.write("words.txt", "n01 first\nn02 second, of three\nn03 third\n");
    shell("tar -cf set.tar -C set n03 n01 n02");
  }

  void shell(const std::string& command) const {
    ASSERT_EQ(std::system(("cd '" + files_.path("") + "' && " + command).c_str()), 0) << command;
  }

  RunResult convert(Arguments arguments, const RunOptions& options = {}) const {
    arguments.insert(arguments.begin(), {"convert"});
    return files_.run(arguments, options);
  }
  RunResult convert_ok(const Arguments& arguments) const {
    RunResult result = convert(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return result;
  }
  std::string digest(Arguments arguments) const {
    fs::remove_all(files_.path("out"));
    arguments.insert(arguments.end(), {"--json", "--quiet", "--output=out"});
    return json_member(convert_ok(arguments).out, "digest").value_or("none");
  }

  // Keys, labels and bytes of a converted set, and its list of bad images.
  std::string everything(const std::string& name) const {
    const SourcePtr source = open_source(files_.path(name), TRAIN);
    std::string out;
    for (int64_t i = 0; i < source->size(); ++i) {
      const Record record = source->read(i);
      out += record.key + " " + std::to_string(record.label) + "\n";
      out.append(record.bytes.begin(), record.bytes.end());
    }
    return out + files_.read(name + "/bad_images.txt") + files_.read(name + "/class_names.txt");
  }

  Workspace files_;
};

TEST_F(ConvertCommand, EverySourceGivesTheSameRecords) {
  write_set(30);
  const std::string wanted = digest({"folder", "set"});
  EXPECT_EQ(wanted.size(), 18u) << wanted;  // 16 digits in quotes
  EXPECT_EQ(digest({"list", "list.txt", "--root=set"}), wanted);
  EXPECT_EQ(digest({"tar", "set.tar"}), wanted);
  EXPECT_EQ(digest({"folder", "set", "--threads=1", "--batch=7"}), wanted);
  EXPECT_EQ(digest({"tar", "set.tar", "--labels=words.txt"}), wanted);
  EXPECT_NE(files_.read("out/class_names.txt").find("n02 second, of three\n"), std::string::npos);
  EXPECT_NE(digest({"folder", "set", "--resize_shorter=4", "--quality=80"}), wanted);

  // What was written can be looked at, and so can the source itself.
  for (const std::string source : {"out", "set.tar"}) {
    files_.run_ok({"show", "--quiet", "--source=" + source, "--count=4", "--output=sheet.png"});
  }
}

TEST_F(ConvertCommand, ReportsClassesAndBadImages) {
  write_set(30);
  files_.write("set/n02/broken.jpg", "no image");
  const RunResult result = convert({"folder", "set", "--labels=words.txt", "--output=out"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("n02 second, of three"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("out: 30 images, 1 bad left out\ndigest: "), std::string::npos)
      << result.out;
  EXPECT_NE(result.err.find("1 of 31 images are bad"), std::string::npos) << result.err;
  EXPECT_TRUE(files_.read("out/bad_images.txt").starts_with("n02/broken.jpg: "));
  const RunResult json =
      convert_ok({"folder", "set", "--labels=words.txt", "--output=out", "--json"});
  EXPECT_EQ(json_number(json.out, "images"), 30);
  EXPECT_EQ(json_number(json.out, "bad_images"), 1);
  EXPECT_EQ(json_number(json.out, "classes"), 3);
}

TEST_F(ConvertCommand, ImageNetInBothParts) {
  write_set(30);
  files_.write("val.txt", "a.ppm 2\nb.ppm 0\n");
  fs::create_directory(files_.path("flat"));
  files_.write_image("flat/b.ppm", 5, 5, 1, 2, 3);
  files_.write_image("flat/a.ppm", 5, 5, 4, 5, 6);
  shell("tar -cf val.tar -C flat b.ppm a.ppm");
  const Arguments arguments = {"imagenet",           "--train=set.tar",    "--val=val.tar",
                               "--val_list=val.txt", "--labels=words.txt", "--output=both"};
  EXPECT_NE(convert_ok(arguments).out.find("both/val.lmdb: 2 images"), std::string::npos);
  const SourcePtr val = open_source(files_.path("both/val.lmdb"), TEST);
  EXPECT_EQ(val->key(0), "00000000_a.ppm");
  EXPECT_EQ(val->read(0).label, 2);
  EXPECT_EQ(val->class_names()[1], "n02 second, of three");
  EXPECT_EQ(open_source(files_.path("both/train.lmdb"), TRAIN)->size(), 30);
  // As after an end between the parts: what is complete stays, the rest is made.
  fs::remove_all(files_.path("both/val.lmdb"));
  EXPECT_NE(convert_ok(arguments).out.find("both/train.lmdb: 30 images"), std::string::npos);
  EXPECT_TRUE(files_.has("both/val.lmdb"));

  convert_ok({"imagenet", "--val=flat", "--val_list=val.txt", "--output=one"});
  EXPECT_FALSE(files_.has("one/train.lmdb"));
  EXPECT_TRUE(files_.has("one/val.lmdb"));
}

TEST_F(ConvertCommand, RefusesWhatMakesNoSense) {
  write_set(3);
  const auto refused = [&](Arguments arguments, int code, const Arguments& parts) {
    arguments.emplace_back("--output=x");
    expect_failure(convert(arguments), code, parts);
    EXPECT_FALSE(files_.has("x"));
  };
  refused({"folder"}, 2, {"takes one path"});
  refused({"folder", "none"}, 3, {"none"});
  refused({"folder", "set", "--root=set"}, 2, {"--root", "convert folder", "convert list"});
  refused({"folder", "set", "--quality=90"}, 2, {"--quality", "--resize_shorter"});
  refused({"list", "words.txt"}, 3, {"words.txt:1:"});
  refused({"tar", "list.txt"}, 3, {"list.txt"});
  refused({"imagenet"}, 2, {"--train", "--val"});
  refused({"imagenet", "--train=set", "--val_list=list.txt"}, 2, {"--val_list needs --val"});
  refused({"imagenet", "--val=set/n01"}, 2, {"--devkit", "--val_list"});
  refused({"shapes", "--train=many"}, 2, {"many", "number of images"});
  refused({"shapes", "--raw"}, 2, {"--raw", "convert shapes"});
  convert_ok({"folder", "set", "--output=out"});
  expect_failure(convert({"folder", "set", "--raw", "--output=out"}), 2, {"out", "exists already"});
}

TEST_F(ConvertCommand, AfterAFullDiskItGoesOn) {
  write_set(3);
  for (int i = 0; i < 20; ++i) {
    files_.write_image("set/n01/large" + two_digits(i) + ".ppm", 100, 100, i, i, i);
  }
  const Arguments command = {"folder", "set", "--quiet", "--batch=2", "--output=out"};
  expect_failure(convert(command, {.file_size_limit = 300000}), 3, {"out.tmp", "disk full"});
  EXPECT_FALSE(files_.has("out"));
  EXPECT_NE(convert_ok(command).out.find("out: 23 images"), std::string::npos);
}

TEST_F(ConvertCommand, ASignalStopsItAndTheSameCommandGoesOn) {
  write_set(60);
  const Arguments command = {"folder", "set", "--batch=2", "--output=out"};
  const auto state = [&] {
    return files_.has("out.tmp/conversion.txt") ? files_.read("out.tmp/conversion.txt") : "";
  };
  RunOptions slow{.environment = {{"RESNET_TEST_CONVERT_DELAY_MS", "50"}}};
  for (const int signal : {SIGTERM, SIGINT}) {
    slow.signal = signal;
    slow.signal_when = [&, before = state()] { return state() != before; };
    const RunResult stopped = convert(command, slow);
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    EXPECT_NE(stopped.err.find("the same command goes on"), std::string::npos) << stopped.err;
    EXPECT_FALSE(files_.has("out"));
  }
  expect_failure(convert({"folder", "set", "--raw", "--output=out"}), 2,
                 {"out.tmp", "another conversion"});
  const RunResult rest = convert_ok(command);
  EXPECT_NE(rest.err.find("going on after"), std::string::npos) << rest.err;
  convert_ok({"folder", "set", "--output=whole"});
  EXPECT_TRUE(everything("out") == everything("whole"));
}

TEST_F(ConvertCommand, KilledAtAnyMomentItEndsAsIfItHadNotBeen) {
  write_set(60);
  for (const std::string bad : {"n01/bad.jpg", "n02/bad.png", "n03/bad.jpg"}) {
    files_.write("set/" + bad, "no image");
  }
  const Arguments command = {"folder", "set",     "--batch=3",   "--shuffle",
                             "--json", "--quiet", "--output=out"};
  Arguments undisturbed = command;
  undisturbed.back() = "--output=whole";
  const RunResult whole = convert_ok(undisturbed);

  const char* given = std::getenv("RESNET_TEST_SEED");
  const auto seed = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  std::cout << "RESNET_TEST_SEED=" << seed << " repeats these kills\n";
  std::mt19937 random(seed);
  const Arguments points = {"convert_noted", "convert_written", "conversion_half_written",
                            "conversion_synced", "conversion_renamed"};
  constexpr int kKills = 12;
  int kills = 0;
  RunResult last;
  for (int attempts = 0; attempts < 100; ++attempts) {
    RunOptions options{.environment = {{"RESNET_TEST_CONVERT_DELAY_MS", "10"}}};
    if (kills < kKills && random() % 2 == 0) {
      options.signal = SIGKILL;
      const auto delay = std::chrono::milliseconds(20 + random() % 180);
      options.signal_when = [at = Clock::now() + delay] { return Clock::now() >= at; };
    } else if (kills < kKills) {
      options.environment.emplace_back("RESNET_TEST_CRASH", points[random() % points.size()] + ":" +
                                                                std::to_string(1 + random() % 3));
    }
    last = convert(command, options);
    if (last.code == 0 && kills >= kKills) break;
    if (last.code == 128 + SIGKILL) {
      ++kills;
      continue;
    }
    ASSERT_EQ(last.code, 0) << last.err;
    EXPECT_TRUE(everything("out") == everything("whole"));
    fs::remove_all(files_.path("out"));  // another series
  }
  EXPECT_GE(kills, kKills);
  EXPECT_EQ(json_member(last.out, "digest"), json_member(whole.out, "digest"));
  EXPECT_TRUE(everything("out") == everything("whole"));
  EXPECT_FALSE(files_.has("out.tmp"));
}

}  // namespace
}  // namespace resnet::test
