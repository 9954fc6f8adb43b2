// Conversion of image files: what is stored, what is left out, stopping and going on.
#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "data/image_set_util.h"
#include "resnet/base/parallel.h"
#include "resnet/data/convert.h"
#include "resnet/data/image.h"
#include "resnet/data/imagenet.h"
#include "resnet/io/files.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

// A picture as a file of this kind (".png", ".jpg").
std::string image_file(const std::string& extension, int number, int height = 12, int width = 20) {
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.at<cv::Vec3b>(y, x) = {static_cast<uint8_t>(x * 9 + number),
                                   static_cast<uint8_t>(y * 11), static_cast<uint8_t>(number * 5)};
    }
  }
  std::vector<uint8_t> bytes;
  cv::imencode(extension, image, bytes);
  return {bytes.begin(), bytes.end()};
}

class Convert : public ::testing::Test {
 protected:
  Convert() : set(dir / "set"), output(dir / "out") {
    for (int i = 0; i < 10; ++i) {
      const std::string name = "image" + std::to_string(i) + (i % 2 == 0 ? ".png" : ".jpg");
      write_files(
          set, {{(i < 6 ? "cat/" : "dog/") + name, image_file(i % 2 == 0 ? ".png" : ".jpg", i)}});
    }
  }
  ConvertReport convert(const ConvertOptions& options = {}, const ConvertHooks& hooks = {}) const {
    return convert_images(*open_source(set, TRAIN), output, options, hooks);
  }
  // Afresh.
  ConvertReport convert_again(const ConvertOptions& options = {}) const {
    fs::remove_all(output);
    return convert(options);
  }
  SourcePtr written() const { return open_source(output, TRAIN); }
  std::string bad_images() const {
    return fs::exists(output + "/bad_images.txt") ? read_file(output + "/bad_images.txt") : "";
  }

  ScratchDirectory dir;
  std::string set, output;
};

TEST_F(Convert, StoresTheFilesAsTheyAre) {
  const ConvertReport report = convert();
  EXPECT_EQ(report.records, 10);
  EXPECT_EQ(report.done, 10);
  EXPECT_EQ(report.bad + report.odd, 0);
  EXPECT_EQ(report.labels, (std::vector<int64_t>{6, 4}));
  const SourcePtr from = open_source(set, TRAIN), to = written();
  ASSERT_EQ(to->size(), 10);
  EXPECT_EQ(to->class_names(), (Strings{"cat", "dog"}));
  for (int64_t i = 0; i < 10; ++i) {
    const Record record = to->read(i), file = from->read(i);
    EXPECT_EQ(record.key, "0000000" + std::to_string(i) + "_" + file.key);
    EXPECT_EQ(record.label, file.label);
    EXPECT_TRUE(record.encoded);
    EXPECT_EQ(record.bytes, file.bytes);
  }
  EXPECT_FALSE(fs::exists(output + "/bad_images.txt"));
  EXPECT_FALSE(fs::exists(output + ".tmp"));
}

TEST_F(Convert, TheDigestDependsOnTheRecordsOnly) {
  const uint64_t digest = convert().digest;
  set_num_threads(3);
  for (const int64_t batch : {1, 3, 10, 100}) {
    ConvertOptions options;
    options.batch = batch;
    EXPECT_EQ(convert_again(options).digest, digest) << batch;
  }
  set_num_threads(1);
  pack(dir / "set.tar", set, "dog cat");
  fs::remove_all(output);
  EXPECT_EQ(convert_images(*open_source(dir / "set.tar", TRAIN), output, {}).digest, digest);
  std::string list;
  const SourcePtr source = open_source(set, TRAIN);
  for (int64_t i = 0; i < 10; ++i) {
    list += source->key(i) + " " + std::to_string(source->read(i).label) + "\n";
  }
  write_text(set + "/list.txt", list);
  fs::remove_all(output);
  EXPECT_EQ(convert_images(*open_source(set + "/list.txt", TRAIN), output, {}).digest, digest);

  write_files(set, {{"dog/image9.jpg", image_file(".jpg", 90)}});
  EXPECT_NE(convert_again().digest, digest);
}

TEST_F(Convert, PixelsAndScaledImages) {
  ConvertOptions options;
  options.raw = true;
  convert(options);
  Record wanted = open_source(set, TRAIN)->read(3);
  decode(wanted, Colour::colour, "");
  Record record = written()->read(3);
  EXPECT_FALSE(record.encoded);
  EXPECT_EQ(record.shape, (Shape{3, 12, 20}));
  EXPECT_EQ(record.bytes, wanted.bytes);

  options.shorter_side = 6;
  convert_again(options);
  resize(wanted, 6, 10);
  EXPECT_EQ(written()->read(3).bytes, wanted.bytes);

  options.raw = false;
  convert_again(options);
  record = written()->read(3);
  EXPECT_TRUE(record.encoded);
  const size_t size = record.bytes.size();
  decode(record, Colour::as_stored, "");
  EXPECT_EQ(record.shape, (Shape{3, 6, 10}));
  options.quality = 20;
  convert_again(options);
  EXPECT_LT(written()->read(3).bytes.size(), size);
}

TEST_F(Convert, ARandomOrderComesFromTheSeed) {
  ConvertOptions options;
  const uint64_t sorted = convert().digest;
  options.shuffle = true;
  options.batch = 3;
  const uint64_t first = convert_again(options).digest;
  std::vector<std::string> keys;
  for (int64_t i = 0; i < 10; ++i) keys.push_back(written()->key(i).substr(9));
  std::sort(keys.begin(), keys.end());
  for (int64_t i = 0; i < 10; ++i)
    EXPECT_EQ(keys[static_cast<size_t>(i)], open_source(set, TRAIN)->key(i));
  EXPECT_EQ(convert_again(options).digest, first);
  options.seed = 2;
  EXPECT_NE(convert_again(options).digest, first);
  EXPECT_NE(first, sorted);
}

TEST_F(Convert, BadImagesAreLeftOutAndNamed) {
  const std::string jpeg = image_file(".jpg", 1, 60, 80);
  write_files(set, {{"cat/empty.jpg", ""},
                    {"cat/html.jpg", "<html>404</html>"},
                    {"dog/cut.jpg", jpeg.substr(0, jpeg.size() * 3 / 4)},
                    {"dog/really_a_png.JPEG", image_file(".png", 77)}});
  const ConvertReport report = convert();
  EXPECT_EQ(report.images, 14);
  EXPECT_EQ(report.records, 11);
  EXPECT_EQ(report.bad, 3);
  EXPECT_EQ(report.odd, 1);
  EXPECT_EQ(report.labels, (std::vector<int64_t>{6, 5}));
  EXPECT_EQ(written()->size(), 11);
  const std::string bad = bad_images();
  EXPECT_EQ(std::count(bad.begin(), bad.end(), '\n'), 3);
  EXPECT_TRUE(bad.starts_with("cat/empty.jpg: empty file\ncat/html.jpg: ")) << bad;
  EXPECT_NE(bad.find("\ndog/cut.jpg: the JPEG file is truncated\n"), std::string::npos) << bad;
}

TEST_F(Convert, MostlyBadImagesAreAnError) {
  for (int i = 0; i < 11; ++i) write_files(set, {{"cat/no" + std::to_string(i) + ".jpg", "x"}});
  EXPECT_ONE_LINE(error_of<DataError>([&] { convert(); }), set, "11 of 21 images are bad",
                  output + ".tmp/bad_images.txt");
  EXPECT_FALSE(fs::exists(output));
  EXPECT_TRUE(fs::exists(output + ".tmp/bad_images.txt"));
  fs::remove(set + "/cat/no0.jpg");  // another attempt begins anew
  EXPECT_EQ(convert().bad, 10);
}

TEST_F(Convert, GoesOnWhereItStopped) {
  write_files(
      set, {{"cat/bad1.jpg", "x"}, {"dog/bad2.jpg", ""}, {"dog/odd.jpg", image_file(".png", 3)}});
  const ConvertReport whole = convert();
  const std::string bad = bad_images();
  fs::rename(output, dir / "whole");
  ConvertOptions options;
  options.batch = 2;
  ConvertHooks hooks;
  ConvertReport report;
  int runs = 0;
  do {
    int batches = 0;
    hooks.stop = [&] { return batches++ == 1; };
    report = convert(options, hooks);
    EXPECT_EQ(fs::exists(output), report.done == report.images);
    // What a crash between the list of bad images and the state would leave.
    if (!fs::exists(output))
      std::ofstream(output + ".tmp/bad_images.txt", std::ios::app) << "half a li";
  } while (++runs < 20 && report.done < report.images);
  EXPECT_EQ(runs, 7);
  EXPECT_EQ(report.digest, whole.digest);
  EXPECT_EQ(report.labels, whole.labels);
  EXPECT_EQ(report.odd, 1);
  EXPECT_EQ(bad_images(), bad);
  EXPECT_EQ(contents(*written()), contents(*open_source(dir / "whole", TRAIN)));
}

TEST_F(Convert, OnlyTheSameConversionGoesOn) {
  ConvertOptions options;
  options.batch = 2;
  options.description = "the first one";
  ConvertHooks hooks;
  int batches = 0;
  hooks.stop = [&] { return batches++ == 1; };
  convert(options, hooks);
  const auto refused = [&](const ConvertOptions& other) {
    EXPECT_ONE_LINE(error_of<ConfigError>([&] { convert(other); }), output + ".tmp",
                    "another conversion", "the first one", "remove the folder");
  };
  ConvertOptions other = options;
  other.raw = true;
  refused(other);
  other = options;
  other.shuffle = true;
  refused(other);
  other = options;
  other.label_checksum = 1;
  refused(other);
  write_files(set, {{"dog/more.png", image_file(".png", 1)}});
  refused(options);
  fs::remove(set + "/dog/more.png");
  EXPECT_EQ(convert(options).records, 10);
}

TEST_F(Convert, WhatIsCompleteIsReportedAgain) {
  const ConvertReport report = convert();
  const auto time = fs::last_write_time(output + "/data.mdb");
  const ConvertReport again = convert();
  EXPECT_EQ(again.digest, report.digest);
  EXPECT_EQ(again.labels, report.labels);
  EXPECT_EQ(fs::last_write_time(output + "/data.mdb"), time);
  ConvertOptions other;
  other.raw = true;
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { convert(other); }), output, "exists already");
  output = set;
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { convert(); }), set, "exists already");
}

TEST_F(Convert, OneProcessAtATime) {
  ConvertHooks hooks;
  int refused = 0;
  hooks.stop = [&] {
    EXPECT_ONE_LINE(error_of<ConfigError>([&] { convert(); }), output + ".tmp", "another process");
    ++refused;
    return false;
  };
  EXPECT_EQ(convert({}, hooks).records, 10);
  EXPECT_EQ(refused, 1);
}

TEST_F(Convert, SaysWhatIsDamaged) {
  ConvertHooks hooks;
  hooks.stop = [] { return true; };
  convert({}, hooks);
  write_text(output + ".tmp/conversion.txt", "something else");
  EXPECT_ONE_LINE(error_of<DataError>([&] { convert(); }), "conversion.txt", "damaged");
  fs::remove_all(output + ".tmp");
  EXPECT_ONE_LINE(
      error_of<DataError>([&] { require_room("disk", int64_t{3} << 30, int64_t{1} << 30); }),
      "disk", "3.00 GiB", "1.00 GiB");
  require_room("disk", 5, 5);
}

TEST_F(Convert, LabelsBeyondTheClassNamesAreAnError) {
  write_text(set + "/list.txt", "cat/image0.png 0\ndog/image7.jpg 2\n");
  write_text(set + "/names.txt", "cat\ndog\n");
  const SourcePtr source =
      with_class_names(open_source(set + "/list.txt", TRAIN), set + "/names.txt");
  EXPECT_ONE_LINE(error_of<DataError>([&] { convert_images(*source, output, {}); }),
                  "dog/image7.jpg", "label 2", "2 class names");
}

TEST(ConvertRealImages, KeepsEveryByte) {
  const std::string folder = shared_dir() + "/data/imagenet-sample";
  RESNET_NEEDS_FILE(folder);
  const ScratchDirectory dir;
  const SourcePtr from = open_source(folder + "/train.txt", TRAIN);
  const ConvertReport report = convert_images(*from, dir / "out", {});
  EXPECT_EQ(report.records, 47);
  EXPECT_EQ(report.bad + report.odd, 0);
  const SourcePtr to = open_source(dir / "out", TRAIN);
  for (int64_t i = 0; i < 47; ++i) ASSERT_EQ(to->read(i).bytes, from->read(i).bytes);
}

}  // namespace
}  // namespace resnet::testing
