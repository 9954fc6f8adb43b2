// AlexNet's augmentation of colours (Krizhevsky et al. 2012, section 4.1).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "resnet/proto/resnet.pb.h"

namespace resnet {

// Principal components of the pixels of a data set, whose values count from 0 to 1 here.
struct PrincipalColours {
  std::array<double, 3> eigenvalue{};  // of the covariance of B, G and R, largest first
  std::array<std::array<double, 3>, 3> eigenvector{};  // unit length; B, G, R of each

  // Of ImageNet's training set, as published with fb.resnet.torch.
  static PrincipalColours imagenet();
};

// From a symmetric 3x3 covariance. The largest component of each eigenvector is positive.
PrincipalColours principal_colours(const std::array<std::array<double, 3>, 3>& covariance);

ColorPca to_message(const PrincipalColours& colours);
// Reads a ColorPca in text form. Throws DataError.
PrincipalColours read_colours(const std::string& path);

// Adds sum_i alpha_i lambda_i p_i to every pixel of an image, alpha_i ~ N(0, std).
class ColourShift {
 public:
  ColourShift() = default;  // none
  ColourShift(double std, const PrincipalColours& colours) : std_(std), colours_(colours) {}

  explicit operator bool() const { return std_ > 0; }
  // For planes B, G and R, in levels of 8-bit pixels.
  std::array<float, 3> draw(uint64_t seed, int64_t position) const;

 private:
  double std_ = 0;
  PrincipalColours colours_;
};

}  // namespace resnet
