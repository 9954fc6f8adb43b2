#include "resnet/data/colour.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <opencv2/core.hpp>

#include "resnet/base/error.h"
#include "resnet/base/random.h"

namespace resnet {

PrincipalColours PrincipalColours::imagenet() {
  return {{0.2175, 0.0188, 0.0045},
          {{{-0.5836, -0.5808, -0.5675}, {-0.6948, -0.0045, 0.7192}, {0.4203, -0.8140, 0.4009}}}};
}

PrincipalColours principal_colours(const std::array<std::array<double, 3>, 3>& covariance) {
  cv::Matx33d matrix;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      matrix(i, j) = covariance[static_cast<size_t>(i)][static_cast<size_t>(j)];
    }
  }
  cv::Vec3d values;
  cv::Matx33d vectors;  // a row each, by falling eigenvalue
  cv::eigen(matrix, values, vectors);
  PrincipalColours out;
  for (int i = 0; i < 3; ++i) {
    int largest = 0;
    for (int c = 1; c < 3; ++c) {
      if (std::abs(vectors(i, c)) > std::abs(vectors(i, largest))) largest = c;
    }
    const double sign = vectors(i, largest) < 0 ? -1 : 1;
    out.eigenvalue[static_cast<size_t>(i)] = std::max(0.0, values(i));
    for (int c = 0; c < 3; ++c) {
      out.eigenvector[static_cast<size_t>(i)][static_cast<size_t>(c)] = sign * vectors(i, c);
    }
  }
  return out;
}

ColorPca to_message(const PrincipalColours& colours) {
  ColorPca out;
  for (const double value : colours.eigenvalue) out.add_eigenvalue(static_cast<float>(value));
  for (const auto& vector : colours.eigenvector) {
    for (const double value : vector) out.add_eigenvector(static_cast<float>(value));
  }
  return out;
}

PrincipalColours read_colours(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw DataError(path + ": colour file cannot be read; `resnet mean --pca` makes one");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  ColorPca message;
  google::protobuf::TextFormat::Parser parser;
  class : public google::protobuf::io::ErrorCollector {
    void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
  } quiet;
  parser.RecordErrorsTo(&quiet);
  if (!parser.ParseFromString(text, &message) || message.eigenvalue_size() != 3 ||
      message.eigenvector_size() != 9) {
    throw DataError(path + ": not a colour file (3 eigenvalues and 9 numbers of eigenvectors)");
  }
  PrincipalColours out;
  for (int i = 0; i < 3; ++i) {
    out.eigenvalue[static_cast<size_t>(i)] = message.eigenvalue(i);
    for (int c = 0; c < 3; ++c) {
      out.eigenvector[static_cast<size_t>(i)][static_cast<size_t>(c)] =
          message.eigenvector(3 * i + c);
    }
  }
  return out;
}

std::array<float, 3> ColourShift::draw(uint64_t seed, int64_t position) const {
  Random random(seed, static_cast<uint64_t>(position), Use::colour);
  std::array<double, 3> shift{};
  for (size_t i = 0; i < 3; ++i) {
    const double factor = std_ * random.normal() * colours_.eigenvalue[i] * 255;
    for (size_t c = 0; c < 3; ++c) shift[c] += factor * colours_.eigenvector[i][c];
  }
  return {static_cast<float>(shift[0]), static_cast<float>(shift[1]), static_cast<float>(shift[2])};
}

}  // namespace resnet
