// `resnet mean` on images of many sizes, against means and principal colours computed here.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/image_sets.h"
#include "resnet/data/colour.h"
#include "resnet/io/mean_file.h"

namespace resnet::test {
namespace {

using Matrix = std::array<std::array<double, 3>, 3>;

// Colours (B,G,R) of images, each of one colour and of its own size.
constexpr std::array<std::array<int, 3>, 4> kColours = {
    {{10, 40, 200}, {250, 90, 30}, {120, 130, 140}, {0, 255, 60}}};

std::array<double, 3> mean_of_colours() {
  std::array<double, 3> mean{};
  for (const auto& colour : kColours) {
    for (size_t c = 0; c < 3; ++c) mean[c] += colour[c] / 4.0;
  }
  return mean;
}

Matrix covariance_of_colours() {
  const std::array<double, 3> mean = mean_of_colours();
  Matrix out{};
  for (const auto& colour : kColours) {
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = 0; b < 3; ++b) {
        out[a][b] += (colour[a] - mean[a]) / 255 * (colour[b] - mean[b]) / 255 / 4;
      }
    }
  }
  return out;
}

// That A v = lambda v for three orthogonal unit vectors, largest lambda first.
void expect_eigenvectors(const Matrix& a, const PrincipalColours& colours) {
  EXPECT_TRUE(std::is_sorted(colours.eigenvalue.rbegin(), colours.eigenvalue.rend()));
  for (size_t i = 0; i < 3; ++i) {
    const auto& v = colours.eigenvector[i];
    for (size_t row = 0; row < 3; ++row) {
      const double product = a[row][0] * v[0] + a[row][1] * v[1] + a[row][2] * v[2];
      EXPECT_NEAR(product, colours.eigenvalue[i] * v[row], 1e-6) << i << " " << row;
    }
    for (size_t j = 0; j < 3; ++j) {
      const auto& w = colours.eigenvector[j];
      EXPECT_NEAR(v[0] * w[0] + v[1] * w[1] + v[2] * w[2], i == j ? 1 : 0, 1e-6);
    }
  }
}

class MeanCommand : public testing::Test {
 protected:
  // set/c/0.ppm .. of kColours, 20x30 pixels and larger.
  void write_colours() const {
    for (int i = 0; i < 4; ++i) {
      const auto& colour = kColours[static_cast<size_t>(i)];
      write_pixels(files_, "set/c/" + std::to_string(i) + ".ppm", 20 + 7 * i, 30 + 2 * i, 3,
                   [&](int, int, int c) { return colour[static_cast<size_t>(2 - c)]; });
    }
  }

  RunResult mean(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"mean", "--quiet", "--output=m.binaryproto"});
    return files_.run(flags);
  }
  MeanImage mean_image(const std::vector<std::string>& flags) const {
    const RunResult result = mean(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return read_mean(files_.path("m.binaryproto"));
  }

  Workspace files_;
};

TEST_F(MeanCommand, MeansAndPrincipalColoursOfScaledCrops) {
  write_colours();
  const RunResult result = mean({"--json", "--source=set", "--resize=16", "--crop=8", "--pca"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json_number(result.out, "images"), 4);
  EXPECT_EQ(json_member(result.out, "color_file"), "\"m.pca.prototxt\"");

  const std::array<double, 3> wanted = mean_of_colours();
  const MeanImage image = read_mean(files_.path("m.binaryproto"));
  ASSERT_EQ(image.shape, (Shape{3, 8, 8}));
  for (size_t i = 0; i < image.values.size(); ++i)
    EXPECT_NEAR(image.values[i], wanted[i / 64], 1e-4);
  EXPECT_EQ(json_member(result.out, "channel_means"), "[95,128.75,107.5]");
  expect_eigenvectors(covariance_of_colours(), read_colours(files_.path("m.pca.prototxt")));

  const RunResult text = mean({"--source=set", "--resize=16", "--crop=8"});
  EXPECT_NE(text.out.find("4 images of shape (3,8,8); by channel (B,G,R): 95 128.75 107.5"),
            std::string::npos)
      << text.out;
}

// A ramp stays a ramp when it is scaled by one half, away from the border.
TEST_F(MeanCommand, TheCentreOfTheScaledImageIsTaken) {
  const auto ramp = [](int, int x, int c) { return c == 0 ? 2 * x : c == 1 ? 3 * x : 0; };
  write_pixels(files_, "set/c/ramp.ppm", 60, 80, 3, ramp);
  const MeanImage scaled = mean_image({"--source=set", "--resize=30", "--crop=16"});
  ASSERT_EQ(scaled.shape, (Shape{3, 16, 16}));
  const MeanImage cut = mean_image({"--source=set", "--crop=16"});
  for (size_t x = 0; x < 16; ++x) {
    const double column = static_cast<double>(x) + 12;              // of 40, as (40 - 16) / 2 = 12
    EXPECT_EQ(scaled.values[2 * 256 + x], 2 * (2 * column + 0.5));  // red, first row
    EXPECT_NEAR(scaled.values[256 + x], 3 * (2 * column + 0.5), 0.5);  // green
    EXPECT_EQ(cut.values[2 * 256 + x], 2 * (static_cast<double>(x) + 32));
  }
}

TEST_F(MeanCommand, GreyImages) {
  write_pixels(files_, "set/c/grey.pgm", 20, 30, 1, [](int, int, int) { return 77; });
  EXPECT_EQ(mean_image({"--source=set"}).shape, (Shape{1, 20, 30}));
  expect_failure(mean({"--source=set", "--pca"}), 2, {"set", "colour images", "(1,20,30)"});

  // Among colour images, and with a rule for sizes, it counts as colour.
  write_pixels(files_, "set/c/red.ppm", 40, 30, 3, [](int, int, int c) { return c == 0 ? 99 : 1; });
  expect_failure(mean({"--source=set"}), 3, {"c/red.ppm", "(3,40,30)", "--resize and --crop"});
  const MeanImage both = mean_image({"--source=set", "--crop=2"});
  ASSERT_EQ(both.shape, (Shape{3, 2, 2}));
  EXPECT_EQ(both.values[0], 39);
  EXPECT_EQ(both.values[11], 88);
}

TEST_F(MeanCommand, ImagesOfDifferentSizesNeedARule) {
  write_colours();
  expect_failure(mean({"--source=set"}), 3, {"set: record c/1.ppm", "--resize and --crop"});
  expect_failure(mean({"--source=set", "--resize=16"}), 3, {"c/1.ppm", "--resize and --crop"});
  expect_failure(mean({"--source=set", "--crop=25"}), 3, {"c/0.ppm", "crop_size 25", "--crop"});
  expect_failure(mean({"--source=set", "--resize=16", "--crop=17"}), 3, {"c/0.ppm", "--resize"});
  expect_failure(mean({"--source=set", "--crop=-1"}), 2, {"--crop"});
  expect_failure(mean({"--source=set", "--resize=-1"}), 2, {"--resize"});
  EXPECT_FALSE(files_.has("m.binaryproto"));
  EXPECT_FALSE(files_.has("m.pca.prototxt"));
}

TEST_F(MeanCommand, ExifOrientation) {
  write_jpeg(files_, "set/c/turned.jpg", 20, 30, 1, 6);  // the top is at the right
  const MeanImage stored = mean_image({"--source=set"});
  EXPECT_EQ(stored.shape, (Shape{3, 20, 30}));
  const MeanImage turned = mean_image({"--source=set", "--exif_orientation"});
  ASSERT_EQ(turned.shape, (Shape{3, 30, 20}));
  for (size_t c = 0; c < 3; ++c) {
    for (size_t y = 0; y < 30; ++y) {
      for (size_t x = 0; x < 20; ++x) {
        ASSERT_EQ(turned.values[c * 600 + y * 20 + x], stored.values[c * 600 + (19 - x) * 30 + y]);
      }
    }
  }
}

TEST_F(MeanCommand, TrainingTakesBothFilesSlow) {
  write_image_set(files_);
  files_.run_ok({"mean", "--quiet", "--source=set", "--resize=40", "--crop=32", "--pca",
                 "--output=m.binaryproto"});
  const std::vector<std::string> train = {"train", "--quiet", "--json", "--threads=1",
                                          "--solver=images_solver.prototxt"};
  const auto loss_with = [&](const std::string& transform) {
    write_image_net(files_, "source: \"set\" backend: FOLDER", transform);
    return json_number(files_.run_ok(train).out, "loss").value_or(-1);
  };
  const std::string mean = "mean_file: \"m.binaryproto\" ";
  const double loss = loss_with(mean + "color_file: \"m.pca.prototxt\"");
  EXPECT_GT(loss, 0);
  EXPECT_NE(loss, loss_with(mean));  // ImageNet's colours
  EXPECT_NE(loss, loss_with("color_file: \"m.pca.prototxt\""));

  const auto refused = [&](const std::string& transform, const std::string& file) {
    write_image_net(files_, "source: \"set\" backend: FOLDER", transform);
    expect_failure(files_.run(train), 3, {file});
  };
  refused("color_file: \"none.prototxt\"", "none.prototxt");
  refused("color_file: \"list.txt\"", "list.txt: not a colour file");
  files_.write("two.prototxt", "eigenvalue: 1 eigenvalue: 2");
  refused("color_file: \"two.prototxt\"", "two.prototxt: not a colour file");
}

}  // namespace
}  // namespace resnet::test
