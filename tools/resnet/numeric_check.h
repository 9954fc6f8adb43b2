// Do two nets compute the same? How conversions are checked.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "net_file.h"

namespace resnet::cli {

using Values = std::map<std::string, HostArray>;  // by blob

// Throws ConfigError when the flags want another precision than float32, in which differences mean little.
void require_full_precision();

// The blobs to compare, in the phase TEST: those that no layer reads, class scores, and what a Softmax at
// the end reads, since probabilities hide differences. Throws ConfigError where there are none.
std::vector<std::string> compared_blobs(const NetFile& file);

// Random input for a net, the same for the same shapes: images of whole numbers -128..127, about what is left of
// pixels without their mean, and labels of 0.
Values random_input(Net& net);

// Runs the net in the phase TEST on this input (each of its inputs by name) and returns `blobs`.
Values run_net(Net& net, const Values& input, const std::vector<std::string>& blobs);

// The same images for a net as torchvision feeds it: planes R,G,B, each divided by 255 std; `std` is in that
// order. Of planes B,G,R unless `rgb`, less their mean. Arrays of other shapes stay as they are.
Values as_torchvision(Values input, const std::array<double, 3>& std, bool rgb = false);

// The blobs of a net whose layers hold them.
WeightSet weights_of(const NetParameter& net);

struct Difference {
  double largest = 0;        // absolute; infinite where a value of one is not a number
  double largest_value = 0;  // absolute, of both
  double relative() const { return largest_value > 0 ? largest / largest_value : largest; }
};
// Of blobs of equal names and shapes. Throws InternalError when they are not.
Difference difference_of(const Values& a, const Values& b);

}  // namespace resnet::cli
