// `resnet show`: pictures of sources of image files, and of what augmentation makes of them.
#include <gtest/gtest.h>

#include <set>

#include "cli/image_sets.h"

namespace resnet::test {
namespace {

struct Size {
  int width = 0, height = 0;
};

// From the head of a PNG file.
Size png_size(const std::string& file) {
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  const auto number = [&](size_t at) {
    int value = 0;
    for (size_t i = 0; i < 4; ++i) value = value * 256 + static_cast<uint8_t>(file.at(at + i));
    return value;
  };
  return {number(16), number(20)};
}

class ShowCommand : public testing::Test {
 protected:
  ShowCommand() {
    write_image_set(files_);
    write_image_net(files_, "source: \"set\" backend: FOLDER");
  }

  RunResult show(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"show", "--quiet"});
    return files_.run(flags);
  }
  Size size_of(std::vector<std::string> flags) const {
    flags.emplace_back("--output=sheet.png");
    const RunResult result = show(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return png_size(files_.read("sheet.png"));
  }
  std::set<std::string> names_in(const std::string& folder) const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(files_.path(folder))) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  Workspace files_;
};

TEST_F(ShowCommand, SourcesOfImagesOfAnySizeSlow) {
  for (const std::string source : {"set", "list.txt", "set.tar", "classes.tar"}) {
    const RunResult result = show({"--source=" + source, "--output=sheet.png"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "sheet.png: 12 images\n") << source;
    EXPECT_GT(png_size(files_.read("sheet.png")).height, 300);
    std::filesystem::remove(files_.path("sheet.png"));
  }
  // The same picture, whatever holds the images (the title names the source).
  std::set<std::string> first;
  for (const std::string source : {"set", "set.tar", "classes.tar"}) {
    EXPECT_EQ(show({"--source=" + source, "--count=1", "--output=one/"}).code, 0);
    first.insert(files_.read("one/000_n01.png"));
  }
  EXPECT_EQ(first.size(), 1U);
  const Size size = png_size(*first.begin());
  EXPECT_EQ(size.width, 110);
  EXPECT_EQ(size.height, 60);
}

TEST_F(ShowCommand, AugmentedImagesGrowThePictureSlow) {
  const Size two = size_of({"--model=images.prototxt", "--augment=2", "--count=3"});
  const Size six = size_of({"--model=images.prototxt", "--augment=6", "--count=3"});
  const Size nine = size_of({"--solver=images_solver.prototxt", "--augment=9", "--count=3"});
  EXPECT_EQ(two.height, six.height);
  EXPECT_LT(two.width, six.width);
  EXPECT_EQ(nine.width - six.width, 3 * 142);  // a column has 142 pixels
  EXPECT_GT(size_of({"--model=images.prototxt", "--augment=2", "--count=5"}).height, two.height);
}

TEST_F(ShowCommand, AugmentedImagesAsFiles) {
  const RunResult result =
      show({"--model=images.prototxt", "--augment=5", "--count=2", "--output=new/seen/"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "new/seen/: 12 images\n");
  const std::set<std::string> names = names_in("new/seen");
  EXPECT_EQ(names.size(), 12U);
  std::set<std::string> crops;
  for (const std::string& name : names) {
    const std::string file = files_.read("new/seen/" + name);
    if (name.substr(3, 2) == "_n") continue;  // as it is stored
    EXPECT_TRUE(name.ends_with("_mirrored.png") || name.size() == 7) << name;
    EXPECT_EQ(png_size(file).width, 32);
    EXPECT_EQ(png_size(file).height, 32);
    crops.insert(file);
  }
  EXPECT_EQ(crops.size(), 10U);

  // Another source in place of the net's; another seed draws other crops.
  show({"--model=images.prototxt", "--augment=5", "--count=2", "--source=set.tar", "--output=b/"});
  EXPECT_EQ(names_in("b"), names);
  show({"--model=images.prototxt", "--augment=5", "--count=2", "--seed=2", "--output=c/"});
  EXPECT_NE(names_in("c"), names);
}

TEST_F(ShowCommand, RefusesSlow) {
  const auto refused = [&](std::vector<std::string> flags, int code, const std::string& fact) {
    if (!flags.back().starts_with("--output")) flags.emplace_back("--output=none.png");
    expect_failure(show(flags), code, {fact});
    EXPECT_FALSE(files_.has("none.png"));
  };
  refused({"--augment=3", "--source=set"}, 2, "--model or --solver");
  refused({"--augment=0", "--source=set", "--count=0"}, 2, "--count");
  refused({"--augment=-1", "--model=images.prototxt"}, 2, "--augment takes a number from 1");
  refused({"--augment=3", "--model=deploy.prototxt"}, 2, "reads no data set in phase TRAIN");
  refused({"--augment=3", "--model=images.prototxt", "--source=none"}, 3, "none");
  refused({"--source=set", "--output=list.txt/pictures/"}, 3, "list.txt/pictures");
  files_.write("set/n01/00.jpg", "");
  refused({"--augment=1", "--model=images.prototxt", "--count=20"}, 3, "n01/00.jpg");
}

}  // namespace
}  // namespace resnet::test
