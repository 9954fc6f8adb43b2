#include "exchange/own_fields.h"

#include <google/protobuf/descriptor.h>

#include <string_view>

namespace resnet {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kFirstOwn = 10000;

struct Reason {
  std::string_view name;  // "Message.field", or its beginning up to '*'
  std::string_view text;
};

constexpr std::string_view kScaledImages =
    "Caffe does not scale images; convert them to an LMDB of the size that is wanted";
constexpr std::string_view kRecords =
    "Caffe reads a whole database in the order of its keys; convert the records that are wanted, "
    "in "
    "their order, to one";
constexpr std::string_view kWarmup =
    "Caffe has no warm-up; train the first iterations with a solver of their own";

constexpr Reason kReasons[] = {
    {"TransformationParameter.pad", "Caffe does not pad images; convert padded ones to an LMDB"},
    {"TransformationParameter.resize_*", kScaledImages},
    {"TransformationParameter.crop_*", kScaledImages},
    {"TransformationParameter.color_*", "Caffe does not shift colours; remove it"},
    {"TransformationParameter.exif_orientation", "Caffe does not turn images; convert turned ones"},
    {"LossParameter.label_smoothing", "Caffe's loss knows no smoothed labels; remove it"},
    {"BatchNormParameter.group_size",
     "Caffe's statistics are those of the batch; make batch_size this size, and iter_size larger"},
    {"DataParameter.backend", "Caffe reads LMDBs; convert the data set to one (`resnet convert`)"},
    {"DataParameter.shuffle", kRecords},
    {"DataParameter.record_*", kRecords},
    {"DataParameter.*", "it goes with a backend of our own"},
    {"SolverParameter.math", "Caffe computes in float32; remove it"},
    {"SolverParameter.warmup_*", kWarmup},
    {"SolverParameter.plateau_*", "it goes with a policy of our own"},
    {"SolverParameter.min_lr", "it goes with a policy of our own"},
};

std::string_view reason_for(const std::string& name) {
  for (const Reason& reason : kReasons) {
    const std::string_view pattern = reason.name;
    const bool matches = pattern.back() == '*'
                             ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                             : name == pattern;
    if (matches) return reason.text;
  }
  return "Caffe has no such field";
}

bool is_default(const Message& message, const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) == field.default_value_bool();
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, &field) == field.default_value_int32();
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field) == field.default_value_uint32();
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field) == field.default_value_uint64();
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.GetFloat(message, &field) == field.default_value_float();
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(message, &field) == field.default_value_enum();
    default:
      return false;
  }
}

bool has_own_value(const Message& message, const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM || field.is_repeated()) return false;
  return message.GetReflection()->GetEnum(message, &field)->number() >= kFirstOwn;
}

}  // namespace

void drop_own_fields(const std::string& where, Message* message,
                     std::vector<std::string>* reasons) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string name = field->containing_type()->name() + "." + field->name();
    if (field->number() >= kFirstOwn && is_default(*message, *field)) {
      reflection.ClearField(message, field);
    } else if (field->number() >= kFirstOwn || has_own_value(*message, *field)) {
      reasons->push_back(where + name + ": " + std::string(reason_for(name)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const int count = field->is_repeated() ? reflection.FieldSize(*message, field) : 1;
      for (int i = 0; i < count; ++i) {
        drop_own_fields(where,
                        field->is_repeated() ? reflection.MutableRepeatedMessage(message, field, i)
                                             : reflection.MutableMessage(message, field),
                        reasons);
      }
    }
  }
}

}  // namespace resnet
