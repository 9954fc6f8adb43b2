// ImageNet's devkit and the numbering of its classes.
#include <filesystem>

#include "data/image_set_util.h"
#include "data/inflate.h"
#include "data/mat_file.h"
#include "resnet/data/imagenet.h"
#include "resnet/io/files.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

const std::string kMeta = RESNET_SOURCE_DIR "/tests/data/devkit/meta.mat";  // make_meta.py
constexpr const char* kTruth = "ILSVRC2012_validation_ground_truth.txt";

TEST(MatFile, HoldsWhatScipyWrote) {
  const auto variables = parse_mat("meta", read_file(kMeta));
  EXPECT_EQ(variables.at("note").text, "made by make_meta.py");
  const auto& fields = variables.at("synsets").fields;
  ASSERT_EQ(fields.size(), 7u);
  ASSERT_EQ(fields.at("WNID").size(), 69u);
  const auto& row = [&](const char* field) { return fields.at(field).back(); };
  EXPECT_EQ(row("ILSVRC2012_ID").numbers, std::vector<double>{1003});
  EXPECT_EQ(row("WNID").text, "n99999999");
  EXPECT_EQ(row("words").text, "last");
  EXPECT_EQ(row("gloss").text, "");
  EXPECT_EQ(row("num_children").numbers, std::vector<double>{2});
  EXPECT_EQ(row("children").numbers, (std::vector<double>{1, 490}));
}

TEST(MatFile, DamageIsAnError) {
  const std::string whole = read_file(kMeta);
  EXPECT_ONE_LINE(error_of<DataError>([] { parse_mat("meta", "some text"); }), "meta",
                  "not a MATLAB file");
  const auto parse = [](const std::string& bytes) {
    try {
      parse_mat("meta", bytes);
    } catch (const DataError&) {
      // Says so.
    }
  };
  for (size_t i = 128; i < whole.size(); i += 17) {
    EXPECT_THROW(parse_mat("meta", whole.substr(0, i + 1)), DataError) << i;
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    parse(damaged);
  }
  // The same inside the compressed part: the second variable, stored plainly.
  std::string_view rest = std::string_view(whole).substr(128);
  const auto size = static_cast<uint8_t>(rest[4]) | static_cast<uint8_t>(rest[5]) << 8;
  const std::string plain = inflated("meta", rest.substr(8, static_cast<size_t>(size)));
  for (size_t i = 0; i < plain.size(); i += 3) {
    std::string damaged = whole.substr(0, 128) + plain;
    damaged[128 + i] = static_cast<char>(damaged[128 + i] ^ (1 << i % 8));
    parse(damaged);
    parse(damaged.substr(0, 128 + i));
  }
}

class ImageNet : public ::testing::Test {
 protected:
  ImageNet() {
    fs::create_directories(dir / "devkit/data");
    fs::copy_file(kMeta, dir / "devkit/data/meta.mat");
    write_truth("490\n1\n490\r\n8\n");
    for (int i = 1; i <= 4; ++i) {
      const std::string name = "ILSVRC2012_val_0000000" + std::to_string(i) + ".JPEG";
      write_files(dir / "val", {{name, "v" + std::to_string(i)}});
    }
  }
  void write_truth(const std::string& text) const {
    write_files(dir / "devkit", {{std::string("data/") + kTruth, text}});
  }
  // A training set with one image of each of the devkit's first classes.
  void write_train(size_t classes) const {
    const Devkit devkit = read_devkit(dir / "devkit");
    for (size_t i = 0; i < classes; ++i) {
      const std::string& wnid = devkit.classes[i].wnid;
      write_files(dir / "train", {{wnid + "/" + wnid + "_1.JPEG", "t"}});
    }
  }
  ImageNetPaths paths() const {
    return {
        .train = "", .val = dir / "val", .devkit = dir / "devkit", .val_list = "", .labels = ""};
  }
  std::string error(const ImageNetPaths& paths) const {
    return error_of<DataError>([&] { open_imagenet(paths); });
  }
  ScratchDirectory dir;
};

TEST_F(ImageNet, ClassesAreTheSortedLeaves) {
  const Devkit devkit = read_devkit(dir / "devkit");
  ASSERT_EQ(devkit.classes.size(), 66u);
  EXPECT_EQ(devkit.classes[0].wnid, "n01440764");
  EXPECT_EQ(devkit.classes[0].words, "tench, Tinca tinca");
  EXPECT_EQ(devkit.classes[65].wnid, "n01751748");
  EXPECT_EQ(devkit.classes[65].id, 490);
  EXPECT_EQ(devkit.validation_ids, (std::vector<int64_t>{490, 1, 490, 8}));
}

TEST_F(ImageNet, ADevkitMayBePacked) {
  pack(dir / "devkit.tar.gz", dir.path(), "devkit", "--gzip");
  pack(dir / "devkit.tar", dir.path(), "devkit");
  for (const std::string name : {"devkit.tar.gz", "devkit.tar"}) {
    const Devkit devkit = read_devkit(dir / name);
    EXPECT_EQ(devkit.classes.size(), 66u);
    EXPECT_EQ(devkit.validation_ids.size(), 4u);
  }
  fs::resize_file(dir / "devkit.tar.gz", 700);
  EXPECT_ONE_LINE(error_of<DataError>([&] { read_devkit(dir / "devkit.tar.gz"); }), "devkit.tar.gz",
                  "damaged or truncated");
}

TEST_F(ImageNet, Id490IsLabel65) {
  // IDs belong to the images in ascending order of names, labels to the sorted wnids.
  pack(dir / "val.tar", dir / "val",
       "ILSVRC2012_val_00000003.JPEG ILSVRC2012_val_00000001.JPEG "
       "ILSVRC2012_val_00000004.JPEG ILSVRC2012_val_00000002.JPEG");
  for (const std::string val : {"val", "val.tar"}) {
    ImageNetPaths places = paths();
    places.val = dir / val;
    const SourcePtr source = open_imagenet(places).val;
    EXPECT_EQ(contents(*source),
              (Strings{"ILSVRC2012_val_00000001.JPEG 65 v1", "ILSVRC2012_val_00000002.JPEG 0 v2",
                       "ILSVRC2012_val_00000003.JPEG 65 v3", "ILSVRC2012_val_00000004.JPEG 1 v4"}));
    ASSERT_EQ(source->class_names().size(), 66u);
    EXPECT_EQ(source->class_names()[65], "n01751748 sea snake");
  }
}

TEST_F(ImageNet, TheTrainingSetDecidesAboutTheNumbers) {
  write_train(66);
  ImageNetPaths places = paths();
  places.train = dir / "train";
  const ImageNetSets sets = open_imagenet(places);
  EXPECT_EQ(sets.train->class_names(), sets.val->class_names());
  EXPECT_EQ(sets.train->class_names()[0], "n01440764 tench, Tinca tinca");
  EXPECT_EQ(sets.train->read(65).key, "n01751748/n01751748_1.JPEG");
  EXPECT_EQ(sets.train->read(65).label, 65);
  EXPECT_EQ(sets.val->read(0).label, 65);

  // Without some classes the numbers are others: that is said, not guessed.
  fs::remove_all(dir / "train");
  write_train(65);
  EXPECT_ONE_LINE(error(places), "n01751748", "training set does not have");
}

TEST_F(ImageNet, ClassFoldersNeedNoDevkit) {
  write_files(dir.path(), {{"train/n2/a.jpg", "1"},
                           {"train/n1/b.jpg", "2"},
                           {"v/n2/c.jpg", "3"},
                           {"words.txt", "n3 three\nn2 two, too\n"}});
  const ImageNetSets sets = open_imagenet({.train = dir / "train",
                                           .val = dir / "v",
                                           .devkit = "",
                                           .val_list = "",
                                           .labels = dir / "words.txt"});
  EXPECT_EQ(contents(*sets.val), (Strings{"n2/c.jpg 1 3"}));
  EXPECT_EQ(sets.val->class_names(), (Strings{"n1", "n2 two, too"}));
}

TEST_F(ImageNet, GroundTruthFromAList) {
  std::string list;
  for (int i = 1; i <= 4; ++i) {
    list += "ILSVRC2012_val_0000000" + std::to_string(i) + ".JPEG " + std::to_string(9 - i) + "\n";
  }
  write_files(dir.path(), {{"val.txt", list}});
  ImageNetPaths places = paths();
  places.val_list = dir / "val.txt";
  places.devkit = "";
  EXPECT_EQ(open_imagenet(places).val->read(3).label, 5);
  write_files(dir.path(), {{"val.txt", "ILSVRC2012_val_00000001.JPEG 1\n"}});
  EXPECT_ONE_LINE(error(places), "val.txt", "no line", "ILSVRC2012_val_00000002.JPEG");
}

TEST_F(ImageNet, SaysWhatDoesNotFit) {
  write_truth("490\n1\n490\n");
  EXPECT_ONE_LINE(error(paths()), "holds 4 images", "knows 3");
  write_truth("490\n1001\n");
  EXPECT_ONE_LINE(error(paths()), std::string(kTruth) + ":2", "'1001'");
  fs::remove(dir / (std::string("devkit/data/") + kTruth));
  EXPECT_ONE_LINE(error(paths()), "devkit", kTruth);
  ImageNetPaths none = paths();
  none.devkit = "";
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_imagenet(none); }), "--devkit", "--val_list");
  none.val = dir / "nowhere";
  EXPECT_ONE_LINE(error(none), "nowhere", "no such file");
}

TEST(ClassNames, FromAFile) {
  const ScratchDirectory dir;
  write_files(dir.path(), {{"set/n2/a.jpg", "1"},
                           {"set/n1/b.jpg", "2"},
                           {"list.txt", "n2/a.jpg 1\n"},
                           {"words.txt", "n2 two\nn1 one\n"}});
  const auto names = [&](const std::string& source) {
    return with_class_names(open_source(dir / source, TRAIN), dir / "words.txt")->class_names();
  };
  EXPECT_EQ(names("set"), (Strings{"n1 one", "n2 two"}));       // by the class
  EXPECT_EQ(names("list.txt"), (Strings{"n2 two", "n1 one"}));  // by the line
  write_files(dir.path(), {{"words.txt", "n2 two\n"}});
  EXPECT_ONE_LINE(error_of<DataError>([&] { names("set"); }), "words.txt", "'n1'");
}

}  // namespace
}  // namespace resnet::testing
