#include <google/protobuf/text_format.h>

#include "resnet/base/error.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

constexpr size_t kLineWidth = 100;

std::string indent(int depth) { return std::string(static_cast<size_t>(2 * depth), ' '); }

void print(const Message& message, int depth, std::string* out);

// "shape { dim: 1 dim: 3 }" for a group without groups inside; empty if it has some.
std::string one_line(const Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool present = field.is_repeated()
                             ? message.GetReflection()->FieldSize(message, &field) > 0
                             : message.GetReflection()->HasField(message, &field);
    if (present && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return {};
  }
  std::string lines;
  print(message, 0, &lines);
  for (char& c : lines) c = c == '\n' ? ' ' : c;
  return "{ " + lines + "}";
}

void print_value(const Message& message, const FieldDescriptor& field, int index, int depth,
                 std::string* out) {
  *out += indent(depth) + field.name();
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    std::string value;
    TextFormat::PrintFieldValueToString(message, &field, index, &value);
    *out += ": " + value + "\n";
    return;
  }
  const Reflection& reflection = *message.GetReflection();
  const Message& group = field.is_repeated() ? reflection.GetRepeatedMessage(message, &field, index)
                                             : reflection.GetMessage(message, &field);
  const std::string line = field.name() == "layer" ? "" : one_line(group);
  const size_t width = static_cast<size_t>(2 * depth) + field.name().size() + 1 + line.size();
  if (!line.empty() && width <= kLineWidth) {
    *out += " " + line + "\n";
    return;
  }
  *out += " {\n";
  print(group, depth + 1, out);
  *out += indent(depth) + "}\n";
}

// The fields in the order of their declaration, which is the order in which people write them.
void print(const Message& message, int depth, std::string* out) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_repeated()) {
      for (int k = 0; k < reflection.FieldSize(message, &field); ++k) {
        print_value(message, field, k, depth, out);
      }
    } else if (reflection.HasField(message, &field)) {
      print_value(message, field, -1, depth, out);
    }
  }
}

}  // namespace

std::string format_prototxt(const Message& message) {
  std::string out;
  print(message, 0, &out);
  return out;
}

}  // namespace resnet
