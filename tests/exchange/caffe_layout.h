// Reads files by a .proto that is given at run time: ours (caffe_layout.proto), or Caffe's own.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "io/io_test_util.h"
#include "resnet/io/files.h"

namespace resnet::testing {

class CaffeLayout {
 public:
  using Message = google::protobuf::Message;

  // Compiles the file with protoc, which the build of this project needs, too.
  explicit CaffeLayout(const std::string& path) {
    const ScratchDirectory dir;
    const std::string command = "protoc --proto_path='" + directory_of(path) +
                                "' --descriptor_set_out='" + (dir / "set") + "' '" + path +
                                "' 2>/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    google::protobuf::FileDescriptorSet set;
    EXPECT_TRUE(set.ParseFromString(read_file(dir / "set")));
    for (const auto& file : set.file()) EXPECT_NE(pool_.BuildFile(file), nullptr) << path;
  }

  // The message as text, in which fields that the layout does not have are numbers.
  std::string text_of(const std::string& type, const std::string& bytes) {
    std::string text;
    google::protobuf::TextFormat::PrintToString(*decode(type, bytes), &text);
    return text;
  }

  std::unique_ptr<Message> decode(const std::string& type, const std::string& bytes) {
    const auto* descriptor = pool_.FindMessageTypeByName("caffe." + type);
    EXPECT_NE(descriptor, nullptr) << type;
    std::unique_ptr<Message> message(factory_.GetPrototype(descriptor)->New());
    EXPECT_TRUE(message->ParseFromString(bytes)) << type;
    return message;
  }

  // Whether a field of the message, or inside it, is not in the layout.
  static bool has_unknown(const Message& message) {
    const auto& reflection = *message.GetReflection();
    if (reflection.GetUnknownFields(message).field_count() > 0) return true;
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const auto* field : fields) {
      if (field->message_type() == nullptr) continue;
      const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
      for (int i = 0; i < count; ++i) {
        if (has_unknown(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                             : reflection.GetMessage(message, field))) {
          return true;
        }
      }
    }
    return false;
  }

 private:
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_{&pool_};
};

}  // namespace resnet::testing
