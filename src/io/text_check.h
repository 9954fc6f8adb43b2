// Checks prototxt against a message type and says where each mistake is. Internal to src/io.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::text {

struct Problem {
  int line = 0;    // 1-based
  int column = 0;  // 1-based; a tab advances to the next multiple of 8
  std::string message;
};

// A use of a field that is accepted without effect.
struct AcceptedField {
  std::string field;  // "Message.field"
  int line = 0;
  std::string_view reason;
  bool of_fork = false;  // no field of ours; the text of bad_ranges has it
};

struct Report {
  std::vector<Problem> problems;  // in file order
  bool syntax_error = false;      // the text cannot be parsed even without the fields in bad_ranges
  std::vector<AcceptedField> accepted;
  // Bytes [begin, end) of what is not to be parsed: fields with problems, and those of forks.
  std::vector<std::pair<size_t, size_t>> bad_ranges;
  std::vector<int> layer_lines;    // lines of the fields called `layer` of the outermost message
  std::vector<int> scaled_layers;  // of these, those that NVIDIA's scale_bias gives gamma and beta
};

// Groups may be nested this deep.
constexpr int kMaxDepth = 50;

// Walks the text with protobuf's own tokenizer. Never throws on any input up to 2^31 - 1 bytes.
Report check_text(std::string_view text, const google::protobuf::Descriptor& type);

}  // namespace resnet::text
