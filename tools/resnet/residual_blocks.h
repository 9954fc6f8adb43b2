// The building blocks of He et al. 2015 (figures 2 and 5), and what goes around them.
#pragma once

#include <string>

#include "net_writer.h"

namespace resnet::cli {

// What a block's input passes on its way around the block. Where its shape changes: A the identity
// with zero channels appended, B a 1x1 convolution. C is a 1x1 convolution everywhere; `none` makes
// the plain net.
enum class Shortcut { a, b, c, none };
Shortcut parse_shortcut(const std::string& text);  // "A", "B", "C", "none"; throws ConfigError
std::string letter(Shortcut shortcut);             // the inverse

struct ResidualBlock {
  enum class Type {
    basic,      // 3x3, 3x3
    bottleneck  // 1x1, 3x3, 1x1 with four times the filters
  };
  Type type = Type::basic;
  Shortcut shortcut = Shortcut::a;
  int filters = 64;            // of the 3x3 convolutions
  int stride = 1;              // of the first convolution, or
  bool stride_in_3x3 = false;  // of a bottleneck's 3x3 convolution
  bool changes = false;        // the output has another shape than the input

  int num_output() const { return type == Type::basic ? filters : 4 * filters; }
};

// Appends a block; `name` follows "res" in the names of its layers: "2a", "4b22". Returns its top.
std::string write_block(NetWriter& writer, const std::string& input, const std::string& name,
                        const ResidualBlock& block);

}  // namespace resnet::cli
