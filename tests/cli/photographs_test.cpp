// Photographs from the files to the weights: sources, means and colours, pictures of augmentation, the
// speed of the data, bad files in training.
#include <gtest/gtest.h>

#include <cstdlib>
#include <opencv2/imgcodecs.hpp>

#include "cli/tool.h"
#include "data/jpeg_files.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/mean_file.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

// For the tiny net: what the paper does with ImageNet's images, in small.
constexpr const char* kAugmentation =
    "transform_param { force_color: true resize_shorter_min: 40 resize_shorter_max: 60 crop_size: "
    "32 "
    "mirror: true color_std: 0.1 mean_value: 110 mean_value: 115 mean_value: 120 scale: 0.01 }";

class Photographs : public ::testing::Test {
 protected:
  // 12 JPEG files of three classes and many sizes: photos/CLASS/NN.jpg, list.txt, photos.tar.
  Photographs() {
    std::string list;
    const Arguments classes = {"a", "b", "c"};
    for (int i = 0; i < 12; ++i) {
      const auto label = static_cast<size_t>(i / 4);
      const std::string name = classes[label] + "/" + std::to_string(10 + i) + ".jpg";
      testing::JpegKind kind;
      if (i == 5) kind.channels = 1;
      write_file("photos/" + name, testing::jpeg_file(kind, 50 + 3 * i, 90 - 2 * i, i + 1));
      list += name + " " + std::to_string(label) + "\n";
    }
    files_.write("list.txt", list);
    const std::string tar = "cd '" + files_.path("") + "' && tar -cf photos.tar -C photos a b c";
    EXPECT_EQ(std::system(tar.c_str()), 0);
  }

  void write_file(const std::string& name, const std::vector<uint8_t>& bytes) const {
    fs::create_directories(fs::path(files_.path(name)).parent_path());
    files_.write(name, {bytes.begin(), bytes.end()});
  }

  // The tiny net with the paper's augmentation, trained from `data_param`'s fields.
  void write_net(const std::string& data, const std::string& augmentation = kAugmentation) const {
    std::string net = files_.read("net.prototxt");
    const size_t from = net.find("layer {"), to = net.find("layer {\n  name: \"conv\"");
    std::string layers;
    for (const std::string phase : {"TRAIN", "TEST"}) {
      layers +=
          "layer { name: \"data\" type: \"Data\" top: \"data\" top: \"label\" include { phase: " +
          phase + " } " + augmentation + " data_param { batch_size: 5 " + data +
          (phase == "TRAIN" ? " shuffle: true" : "") + " } }\n";
    }
    files_.write("net.prototxt", net.replace(from, to - from, layers));
  }

  RunResult run(const Arguments& arguments) const { return files_.run(arguments); }

  // Trains anew and returns all weights.
  std::vector<float> trained(const Arguments& flags = {}) const {
    fs::remove_all(files_.path("snap"));
    const RunResult result = files_.train(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return weights();
  }
  std::vector<float> weights() const {
    std::vector<float> all;
    for (const NamedBlob& blob :
         read_caffemodel(files_.path("snap/tiny_iter_4.caffemodel")).blobs) {
      all.insert(all.end(), blob.data.begin(), blob.data.end());
    }
    return all;
  }

  cv::Mat picture(const std::string& name) const { return cv::imread(files_.path(name)); }

  Workspace files_;
};

TEST_F(Photographs, TrainAlikeFromEverySource) {
  files_.run_ok({"convert", "folder", "photos", "--output=photos.lmdb", "--quiet"});
  const std::string tiny = files_.read("net.prototxt");
  std::optional<std::vector<float>> wanted;
  for (const std::string source :
       {"source: 'photos.lmdb'", "source: 'photos' backend: FOLDER",
        "source: 'list.txt' root: 'photos' backend: LIST", "source: 'photos.tar' backend: TAR"}) {
    files_.write("net.prototxt", tiny);
    write_net(source);
    for (const Arguments& flags : {Arguments{}, Arguments{"--loader_threads=2"}}) {
      const std::vector<float> found = trained(flags);
      if (!wanted) wanted = found;
      EXPECT_EQ(found, *wanted) << source;
    }
  }
}

TEST_F(Photographs, HaveAMeanAndPrincipalColours) {
  const RunResult result = files_.run_ok({"mean", "--source=photos", "--resize=40", "--crop=32",
                                          "--pca", "--output=mean.binaryproto", "--json"});
  EXPECT_EQ(json_number(result.out, "images"), 12);
  const MeanImage mean = read_mean(files_.path("mean.binaryproto"));
  EXPECT_EQ(mean.shape, (Shape{3, 32, 32}));
  EXPECT_TRUE(files_.has("mean.pca.prototxt"));
  // All of it serves training.
  write_net("source: 'photos' backend: FOLDER",
            "transform_param { resize_shorter_min: 40 crop_size: 32 mean_file: 'mean.binaryproto' "
            "color_std: 0.1 color_file: 'mean.pca.prototxt' }");
  const std::vector<float> own = trained();
  files_.replace("mean.pca.prototxt", "eigenvalue: 0", "eigenvalue: 1");
  EXPECT_NE(trained(), own);

  files_.write("mean.pca.prototxt", "eigenvalue: 1 2 3");
  expect_failure(files_.train(), 3, {"mean.pca.prototxt", "colour file"});
  expect_failure(run({"mean", "--source=photos", "--output=m"}), 3,
                 {"a/11.jpg", "one size", "--resize", "--crop"});
  expect_failure(run({"mean", "--source=photos", "--crop=200", "--output=m"}), 2,
                 {"crop_size 200"});
  expect_failure(run({"mean", "--source=photos", "--crop=-1", "--output=m"}), 2, {"--crop"});
}

TEST_F(Photographs, TurnAsTheirExifMarksSay) {
  fs::remove_all(files_.path("photos"));
  write_file("photos/a/1.jpg", testing::with_orientation(testing::jpeg_file({}, 30, 50), 6));
  files_.run_ok({"mean", "--source=photos", "--output=stored"});
  files_.run_ok({"mean", "--source=photos", "--exif_orientation", "--output=turned"});
  EXPECT_EQ(read_mean(files_.path("stored")).shape, (Shape{3, 30, 50}));
  EXPECT_EQ(read_mean(files_.path("turned")).shape, (Shape{3, 50, 30}));
  files_.run_ok(
      {"convert", "folder", "photos", "--raw", "--exif_orientation", "--output=raw.lmdb"});
  files_.run_ok({"mean", "--source=raw.lmdb", "--output=raw"});
  EXPECT_EQ(read_mean(files_.path("raw")).values, read_mean(files_.path("turned")).values);
  expect_failure(run({"convert", "folder", "photos", "--exif_orientation", "--output=x.lmdb"}), 2,
                 {"--exif_orientation", "--raw"});
}

TEST_F(Photographs, AreShownAsStoredAndAsAugmented) {
  for (const std::string source : {"photos", "list.txt", "photos.tar"}) {
    if (source == "list.txt")
      fs::copy(files_.path("photos"), files_.path("."), fs::copy_options::recursive);
    const RunResult result = files_.run_ok({"show", "--source=" + source, "--output=sheet.png"});
    EXPECT_NE(result.out.find("12 images"), std::string::npos) << result.out;
  }
  write_net("source: 'photos' backend: FOLDER");
  const auto width = [&](int times) {
    files_.run_ok({"show", "--model=net.prototxt", "--augment=" + std::to_string(times),
                   "--count=3", "--output=augmented.png"});
    return picture("augmented.png").cols;
  };
  EXPECT_LT(width(6), width(9));
  const RunResult single = files_.run_ok(
      {"show", "--model=net.prototxt", "--augment=2", "--count=3", "--output=images/"});
  EXPECT_NE(single.out.find("9 images"), std::string::npos) << single.out;
  EXPECT_TRUE(files_.has("images/001_mirrored.png") != files_.has("images/001.png"));
  expect_failure(run({"show", "--source=photos", "--augment=3", "--output=s.png"}), 2, {"--model"});
  expect_failure(run({"show", "--model=net.prototxt", "--augment=-1", "--output=s.png"}), 2,
                 {"--augment"});
}

TEST_F(Photographs, AreTimedStageByStage) {
  write_net("source: 'photos' backend: FOLDER");
  for (const Arguments& from :
       {Arguments{"--model=net.prototxt"}, Arguments{"--model=net.prototxt", "--loader_threads=2"},
        Arguments{"--model=net.prototxt", "--phase=TEST"},
        Arguments{"--source=photos", "--batch=3"}}) {
    Arguments arguments = {"time", "--data", "--iterations=2", "--json", "--quiet"};
    arguments.insert(arguments.end(), from.begin(), from.end());
    const RunResult result = files_.run_ok(arguments);
    EXPECT_GT(json_number(result.out, "images_per_s").value_or(0), 0) << result.out;
    EXPECT_GT(json_number(result.out, "images_per_s_one_core").value_or(0), 0);
    const std::string stages = json_member(result.out, "ms_per_image").value_or("");
    EXPECT_GT(json_number(stages, "decode").value_or(0), 0) << result.out;
    EXPECT_GT(json_number(stages, "resize").value_or(0), 0) << result.out;
  }
  const RunResult text = files_.run_ok({"time", "--data", "--source=photos", "--iterations=1"});
  EXPECT_NE(text.out.find("decode"), std::string::npos);
  EXPECT_NE(text.out.find("images/s"), std::string::npos);
  expect_failure(run({"time", "--data"}), 2, {"--source"});
  expect_failure(run({"time", "--data", "--source=none"}), 3, {"none"});
}

TEST_F(Photographs, BadOnesStopTrainingUnlessTheyMayBeSkipped) {
  const std::vector<uint8_t> whole = testing::jpeg_file({}, 60, 80);
  write_file("photos/a/90.jpg",
             {whole.begin(), whole.begin() + static_cast<int>(whole.size() / 2)});
  write_file("photos/b/91.jpg", {});
  write_file("photos/c/92.jpg", {'t', 'e', 'x', 't'});
  write_net("source: 'photos' backend: FOLDER");
  files_.replace("solver.prototxt", "max_iter: 4", "max_iter: 8");
  files_.replace("solver.prototxt", "test_interval: 4", "test_interval: 0");
  const auto train_whole = [&](const Arguments& flags) {
    fs::remove_all(files_.path("snap"));
    return files_.train(flags);
  };

  expect_failure(train_whole({}), 3, {"photos: record ", "/9"});
  expect_failure(train_whole({"--skip_bad=2"}), 3, {"bad record 3", "2 may be skipped"});
  expect_failure(train_whole({"--skip_bad=-1"}), 2, {"--skip_bad"});

  const RunResult plain = train_whole({"--skip_bad=3"});
  EXPECT_EQ(plain.code, 0) << plain.err;
  for (const std::string fact : {"90.jpg: the JPEG file is truncated", "91.jpg: empty file",
                                 "92.jpg: not an image", "skipped (3 of at most 3)"}) {
    EXPECT_NE(plain.err.find(fact), std::string::npos) << fact << plain.err;
  }
  const auto weights_of = [&] {
    const std::string path = files_.path("snap/tiny_iter_8.caffemodel");
    std::vector<float> all;
    for (const NamedBlob& blob : read_caffemodel(path).blobs) {
      all.insert(all.end(), blob.data.begin(), blob.data.end());
    }
    return all;
  };
  const std::vector<float> wanted = weights_of();
  EXPECT_EQ(train_whole({"--skip_bad=3", "--loader_threads=2"}).code, 0);
  EXPECT_EQ(weights_of(), wanted);

  // A resumed run goes on counting: it knows the bad records that it met before.
  EXPECT_EQ(train_whole({"--skip_bad=3", "--max_iter=4"}).code, 0);
  EXPECT_EQ(files_.train({"--skip_bad=3", "--snapshot=auto"}).code, 0);
  EXPECT_EQ(weights_of(), wanted);
}

TEST_F(Photographs, AreReadByDefinedImageNetNets) {
  fs::create_directories(files_.path("set"));
  fs::copy(files_.path("photos"), files_.path("set/train"), fs::copy_options::recursive);
  fs::copy(files_.path("photos"), files_.path("set/val"), fs::copy_options::recursive);
  fs::copy(files_.path("photos.tar"), files_.path("set/ILSVRC2012_img_train.tar"));
  fs::copy(files_.path("photos.tar"), files_.path("set/ILSVRC2012_img_val.tar"));
  files_.write("set/val.txt", files_.read("list.txt"));
  for (const std::string name : {"train", "val"}) {
    files_.run_ok({"convert", "folder", "photos", "--output=set/" + name + ".lmdb", "--quiet"});
  }
  for (const std::string format : {"lmdb", "folder", "tar"}) {
    files_.run_ok({"define", "--family=imagenet", "--depth=18", "--classes=3", "--batch=2",
                   "--source=set", "--format=" + format, "--mean=104,117,123", "--output=mine"});
    for (const std::string phase : {"TRAIN", "TEST"}) {
      const RunResult result =
          files_.run_ok({"time", "--data", "--model=mine/train_val.prototxt", "--phase=" + phase,
                         "--iterations=1", "--batch=2", "--json"});
      EXPECT_GT(json_number(result.out, "images").value_or(0), 0) << format << phase;
    }
  }
  const Arguments define = {"define", "--family=imagenet", "--depth=18", "--output=none"};
  const auto refused = [&](const std::string& flag, const std::string& fact) {
    Arguments arguments = define;
    arguments.push_back(flag);
    expect_failure(run(arguments), 2, {fact});
  };
  refused("--format=cifar", "lmdb, folder or tar");
  refused("--mean=1,2", "B,G,R");
}

}  // namespace
}  // namespace resnet::test
