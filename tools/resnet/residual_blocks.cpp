#include "residual_blocks.h"

#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

ConvolutionNames names_of(const ResidualBlock& block, const std::string& name,
                          const std::string& branch) {
  const std::string end = name + "_" + branch;
  return {(block.shortcut == Shortcut::none ? "conv" : "res") + end, "bn" + end, "scale" + end};
}

// The blob that is added to the block's output.
std::string write_shortcut(NetWriter& writer, const std::string& input,
                           const ConvolutionNames& names, const ResidualBlock& block) {
  if (block.shortcut == Shortcut::c || (block.shortcut == Shortcut::b && block.changes)) {
    return writer.convolution(names, input, block.num_output(), 1, block.stride);
  }
  if (!block.changes) return input;
  writer.layer("IdentityShortcut", names.convolution, {input}, {names.convolution},
               {"identity_shortcut_param { stride: " + std::to_string(block.stride) +
                " num_output: " + std::to_string(block.num_output()) + " }"});
  return names.convolution;
}

// The convolutions of the block, without the last ReLU.
std::string write_branch(NetWriter& writer, const std::string& input, const std::string& name,
                         const ResidualBlock& block) {
  const auto convolution = [&](const char* branch, const std::string& bottom, int num_output,
                               int kernel, int stride) {
    return writer.convolution(names_of(block, name, branch), bottom, num_output, kernel, stride);
  };
  if (block.type == ResidualBlock::Type::basic) {
    const std::string first =
        writer.relu(convolution("branch2a", input, block.filters, 3, block.stride));
    return convolution("branch2b", first, block.filters, 3, 1);
  }
  const int outer = block.stride_in_3x3 ? 1 : block.stride;
  const int inner = block.stride_in_3x3 ? block.stride : 1;
  const std::string reduced = writer.relu(convolution("branch2a", input, block.filters, 1, outer));
  const std::string middle = writer.relu(convolution("branch2b", reduced, block.filters, 3, inner));
  return convolution("branch2c", middle, block.num_output(), 1, 1);
}

}  // namespace

std::string letter(Shortcut shortcut) {
  switch (shortcut) {
    case Shortcut::a:
      return "A";
    case Shortcut::b:
      return "B";
    case Shortcut::c:
      return "C";
    case Shortcut::none:
      break;
  }
  return "none";
}

Shortcut parse_shortcut(const std::string& text) {
  for (const Shortcut shortcut : {Shortcut::a, Shortcut::b, Shortcut::c, Shortcut::none}) {
    if (text == letter(shortcut)) return shortcut;
  }
  throw ConfigError("--shortcut takes A, B, C or none, not '" + text + "'");
}

std::string write_block(NetWriter& writer, const std::string& input, const std::string& name,
                        const ResidualBlock& block) {
  if (block.shortcut == Shortcut::none) {
    return writer.relu(write_branch(writer, input, name, block));
  }
  const std::string around = write_shortcut(writer, input, names_of(block, name, "branch1"), block);
  const std::string branch = write_branch(writer, input, name, block);
  return writer.relu(writer.sum("res" + name, around, branch));
}

}  // namespace resnet::cli
