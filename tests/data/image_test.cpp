// Decoding: parts of JPEG files, all kinds of files, files that are damaged.
#include <opencv2/imgcodecs.hpp>

#include "data/data_test_util.h"
#include "data/jpeg_files.h"
#include "data/pixels.h"
#include "resnet/base/random.h"
#include "resnet/data/image.h"

namespace resnet::testing {
namespace {

Record encoded(std::vector<uint8_t> file) {
  Record record;
  record.key = "a.jpg";
  record.encoded = true;
  record.bytes = std::move(file);
  return record;
}

Record decoded(std::vector<uint8_t> file, const Decoding& decoding = {Colour::colour}) {
  Record record = encoded(std::move(file));
  decode(record, decoding, "source");
  return record;
}

// Plane c of an OpenCV image at (y, x).
uint8_t value(const cv::Mat& image, int64_t c, int64_t y, int64_t x) {
  return image.ptr(static_cast<int>(y))[x * image.channels() + c];
}

int largest_difference(const Record& record, const cv::Mat& image) {
  EXPECT_EQ(record.shape, (Shape{image.channels(), image.rows, image.cols}));
  int largest = 0;
  size_t i = 0;
  for (int64_t c = 0; c < record.shape[0]; ++c) {
    for (int64_t y = 0; y < record.shape[1]; ++y) {
      for (int64_t x = 0; x < record.shape[2]; ++x) {
        largest = std::max(largest, std::abs(record.bytes[i++] - value(image, c, y, x)));
      }
    }
  }
  return largest;
}

class Jpeg : public ::testing::TestWithParam<JpegKind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, Jpeg, ::testing::ValuesIn(jpeg_kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Jpeg, WholeImagesAreThoseOfOpenCV) {
  const std::vector<uint8_t> file = jpeg_file(GetParam(), 121, 187);
  EXPECT_EQ(largest_difference(decoded(file), cv::imdecode(file, cv::IMREAD_COLOR)), 0);
  EXPECT_EQ(
      largest_difference(decoded(file, {Colour::grey}), cv::imdecode(file, cv::IMREAD_GRAYSCALE)),
      0);
  EXPECT_EQ(decoded(file, {}).shape, (Shape{GetParam().channels, 121, 187}));
}

// Every part equals the same part of the whole image within a level.
TEST_P(Jpeg, PartsAreThoseOfTheWholeImage) {
  const int height = 203, width = 307;
  const Record record = encoded(jpeg_file(GetParam(), height, width));
  const Record whole = decoded(record.bytes);
  Random random(1, 2, Use::test);
  const auto draw = [&](int from, int to) {  // inclusive
    return from + static_cast<int>(random.below(static_cast<uint32_t>(to - from + 1)));
  };
  std::vector<Rect> parts = {
      {0, 0, height, width}, {height - 1, width - 1, 1, 1}, {0, 0, 1, 1}, {17, 33, 101, 150}};
  for (int i = 0; i < 60; ++i) {
    const int top = draw(0, height - 1), left = draw(0, width - 1);
    parts.push_back({top, left, draw(1, height - top), draw(1, width - left)});
  }
  int64_t unequal = 0, all = 0;
  for (const Rect& part : parts) {
    Pixels pixels;
    Image(record, {Colour::colour}, "source").read(part, &pixels);
    ASSERT_EQ(intersection(pixels.part, part), part) << "more than was asked for, but never less";
    for (int64_t y = part.top; y < part.bottom(); ++y) {
      for (int64_t x = part.left; x < part.right(); ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          const auto got = static_cast<int>(pixels.row(y)[x - pixels.part.left] >> (8 * c) & 255U);
          const int wanted = whole.bytes[static_cast<size_t>((c * height + y) * width + x)];
          ASSERT_LE(std::abs(got - wanted), 1)
              << c << ' ' << y << ' ' << x << " of part " << part.top << ' ' << part.left << ' '
              << part.height << ' ' << part.width;
          unequal += got != wanted;
          ++all;
        }
      }
    }
  }
  EXPECT_EQ(unequal, 0) << "of " << all;
}

TEST_P(Jpeg, TruncatedFilesAreErrorsWhateverPartIsRead) {
  const std::vector<uint8_t> file = jpeg_file(GetParam(), 121, 187);
  for (const double share : {0.4, 0.7, 0.95}) {
    const auto size = static_cast<std::ptrdiff_t>(static_cast<double>(file.size()) * share);
    const Record record = encoded({file.begin(), file.begin() + size});
    for (const Rect& part : {Rect{0, 0, 121, 187}, Rect{0, 0, 8, 8}}) {
      EXPECT_ONE_LINE(error_of<DataError>([&] {
                        Pixels pixels;
                        Image(record, {}, "source").read(part, &pixels);
                      }),
                      "source: record a.jpg: ", "truncated");
    }
  }
}

TEST(Image, AFileWithoutEndMarkIsWholeIfItsPixelsAreThere) {
  const std::vector<uint8_t> file = jpeg_file({}, 64, 64);
  const std::vector<uint8_t> cut(file.begin(), file.end() - 2);
  EXPECT_EQ(decoded(cut).bytes, decoded(file).bytes);
}

TEST(Image, FewBytesDoNotBecomeManyPixels) {
  std::vector<uint8_t> file = jpeg_file({}, 64, 64);
  // The frame's header: FF C0, length (2), precision, height (2), width (2).
  const std::vector<uint8_t> mark = {0xFF, 0xC0};
  const auto frame = std::search(file.begin(), file.end(), mark.begin(), mark.end());
  ASSERT_NE(frame, file.end());
  for (const int i : {5, 7}) frame[i] = 0x30;  // 12352 x 12352
  EXPECT_ONE_LINE(error_of<DataError>([&] { Image(encoded(file), {}, "source"); }),
                  "source: record a.jpg: ", "truncated", "12352x12352");
}

TEST(Image, DamagedAndForeignFilesAreNamed) {
  std::vector<uint8_t> file = jpeg_file({}, 121, 187);
  const auto error = [](std::vector<uint8_t> bytes) {
    return error_of<DataError>([&] { decoded(std::move(bytes)); });
  };
  EXPECT_ONE_LINE(error({file.begin(), file.begin() + 100}), "source: record a.jpg: ", "JPEG");
  EXPECT_ONE_LINE(error({file.begin(), file.begin() + 3}), "source: record a.jpg: ", "JPEG");
  EXPECT_ONE_LINE(error({'h', 'e', 'l', 'l', 'o'}), "source: record a.jpg: not an image");
  EXPECT_ONE_LINE(error({}), "source: record a.jpg: empty file");
  Random random(3, 0, Use::test);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {  // whatever happens, it is an image or a DataError
    std::vector<uint8_t> bad = file;
    for (int k = 0; k < 5; ++k) {
      bad[random.below(static_cast<uint32_t>(bad.size()))] =
          static_cast<uint8_t>(random.below(256));
    }
    try {
      decoded(bad);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 30);
}

// As programs write it, CMYK is inverted: red is cyan times black.
TEST(Image, CmykAndYcckBecomeColours) {
  const std::vector<uint8_t> inks = picture(40, 56, 4);
  for (const bool ycck : {false, true}) {
    JpegKind kind{.name = "cmyk", .channels = 4};
    kind.ycck = ycck;
    const std::vector<uint8_t> file = jpeg_file(kind, 40, 56);
    const Record image = decoded(file);
    ASSERT_EQ(image.shape, (Shape{3, 40, 56}));
    double difference = 0;
    for (size_t i = 0; i < 40 * 56; ++i) {
      for (size_t c = 0; c < 3; ++c) {
        const double wanted = inks[4 * i + 2 - c] * inks[4 * i + 3] / 255.0;
        difference += std::abs(image.bytes[c * 40 * 56 + i] - wanted);
      }
    }
    EXPECT_LT(difference / (3 * 40 * 56), 4) << ycck;
    EXPECT_EQ(decoded(file, {Colour::grey}).shape, (Shape{1, 40, 56}));
    const auto cut = static_cast<std::ptrdiff_t>(file.size()) / 4;
    EXPECT_ONE_LINE(error_of<DataError>([&] {
                      decoded({file.begin(), file.end() - cut});
                    }),
                    "truncated");
  }
}

TEST(Image, APngIsRecognisedByItsContent) {
  const std::vector<uint8_t> jpeg = jpeg_file({}, 30, 40);
  std::vector<uint8_t> png;
  const cv::Mat picture = cv::imdecode(jpeg, cv::IMREAD_COLOR);
  cv::imencode(".png", picture, png);
  EXPECT_EQ(largest_difference(decoded(png), picture), 0);
  Pixels pixels;
  const Record record = encoded(png);
  Image image(record, {}, "source");
  EXPECT_EQ(image.shape(), (Shape{3, 30, 40}));
  image.read({3, 4, 5, 6}, &pixels);
  EXPECT_EQ(static_cast<int>(pixels.row(5)[6 - pixels.part.left] & 255U), value(picture, 0, 5, 6));
}

TEST(Image, OrientationIsObeyedOnDemand) {
  const std::vector<uint8_t> file =
      with_orientation(jpeg_file({}, 30, 50), 6);  // quarter turn right
  const Record as_stored = decoded(file);
  EXPECT_EQ(as_stored.shape, (Shape{3, 30, 50}));
  const Record turned = decoded(file, {Colour::colour, true});
  ASSERT_EQ(turned.shape, (Shape{3, 50, 30}));
  for (int64_t y = 0; y < 50; ++y) {
    for (int64_t x = 0; x < 30; ++x) {
      ASSERT_EQ(turned.bytes[static_cast<size_t>(y * 30 + x)],
                as_stored.bytes[static_cast<size_t>((29 - x) * 50 + y)]);
    }
  }
}

}  // namespace
}  // namespace resnet::testing
