#include "io/sealed_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>

#include "io/foreign.h"
#include "resnet/base/error.h"
#include "resnet/io/checksum.h"
#include "resnet/io/files.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {
namespace {

using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::ArrayInputStream;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

// All messages that begin and end a file so use the same numbers.
constexpr int kHeaderField = NetParameter::kFileHeaderFieldNumber;
constexpr int kChecksumField = NetParameter::kFileChecksumFieldNumber;
static_assert(kHeaderField == int{SolverState::kFileHeaderFieldNumber} &&
              kHeaderField == int{WeightFile::kFileHeaderFieldNumber});
static_assert(kChecksumField == int{SolverState::kFileChecksumFieldNumber} &&
              kChecksumField == int{WeightFile::kFileChecksumFieldNumber});

constexpr uint32_t kHeaderTag =
    WireFormatLite::MakeTag(kHeaderField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kChecksumTag =
    WireFormatLite::MakeTag(kChecksumField, WireFormatLite::WIRETYPE_FIXED64);
constexpr size_t kTagBytes = 3;
constexpr size_t kTrailerBytes = kTagBytes + 8;

std::string tag_bytes(uint32_t tag) {
  uint8_t bytes[10];
  const uint8_t* end = CodedOutputStream::WriteVarint32ToArray(tag, bytes);
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes)};
}

std::string fixed64_bytes(uint64_t value) {
  uint8_t bytes[8];
  CodedOutputStream::WriteLittleEndian64ToArray(value, bytes);
  return {reinterpret_cast<const char*>(bytes), 8};
}

std::string make_header(uint64_t run_id, uint64_t length) {
  FileHeader header;
  header.set_format_version(kFormatVersion);
  header.set_run_id(run_id);
  header.set_length(length);
  const std::string body = header.SerializeAsString();
  return tag_bytes(kHeaderTag) + static_cast<char>(body.size()) + body;
}

bool has_trailer(std::string_view bytes) {
  return bytes.size() >= kTrailerBytes &&
         bytes.substr(bytes.size() - kTrailerBytes, kTagBytes) == tag_bytes(kChecksumTag);
}

}  // namespace

SealedHeader read_sealed_header(std::string_view bytes) {
  SealedHeader result;
  if (bytes.substr(0, kTagBytes) != tag_bytes(kHeaderTag) || bytes.size() < kTagBytes + 1) {
    return result;
  }
  const auto size = static_cast<unsigned char>(bytes[kTagBytes]);
  FileHeader header;
  const std::string_view body = bytes.substr(kTagBytes + 1, size);
  result.present = true;  // even if the rest of it is missing
  if (size < 128 && body.size() == size &&
      header.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    result.format_version = header.format_version();
    result.run_id = header.run_id();
    result.length = header.length();
  }
  return result;
}

uint64_t stored_checksum(std::string_view bytes) {
  if (!has_trailer(bytes)) return 0;
  uint64_t value = 0;
  CodedInputStream::ReadLittleEndian64FromArray(
      reinterpret_cast<const uint8_t*>(bytes.data() + bytes.size() - 8), &value);
  return value;
}

std::string frame_problem(std::string_view bytes) {
  const SealedHeader header = read_sealed_header(bytes);
  if (header.format_version > kFormatVersion) {
    return "format version " + std::to_string(header.format_version) +
           " is newer than this program's " + std::to_string(kFormatVersion) +
           ": use a newer resnet";
  }
  if (header.length == 0) return "its header is damaged: use another snapshot";
  if (bytes.size() != header.length) {
    return std::string(bytes.size() < header.length ? "truncated" : "has extra bytes") + ": " +
           std::to_string(bytes.size()) + " of " + std::to_string(header.length) +
           " bytes: use another snapshot";
  }
  if (!has_trailer(bytes) ||
      checksum_of(bytes.substr(0, bytes.size() - kTrailerBytes)) != stored_checksum(bytes)) {
    return "its checksum does not match its contents, so it is damaged: use another snapshot";
  }
  return {};
}

bool intact(std::string_view bytes) {
  return !read_sealed_header(bytes).present || frame_problem(bytes).empty();
}

bool parse_sealed(const std::string& path, std::string_view bytes, const std::string& kind,
                  Message* message) {
  if (const std::string other = foreign_format(bytes); !other.empty()) {
    throw DataError(path + ": this is " + other + ", not a " + kind);
  }
  const bool ours = read_sealed_header(bytes).present;
  if (ours) {
    if (const std::string problem = frame_problem(bytes); !problem.empty()) {
      throw DataError(path + ": " + problem);
    }
  }
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw DataError(path + ": " + std::to_string(bytes.size()) +
                    " bytes are more than protobuf can read (2 GiB)");
  }
  ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  if (!message->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    throw DataError(path + ": not a " + kind + ", or damaged: " + damage_place(bytes));
  }
  // Our checksum without our header: the first bytes of the file were changed.
  const auto& type = *message->GetDescriptor();
  const auto* checksum = type.FindFieldByNumber(kChecksumField);
  if (!ours && checksum && message->GetReflection()->HasField(*message, checksum)) {
    throw DataError(path + ": its header is damaged: use another snapshot");
  }
  return ours;
}

uint64_t write_sealed(const std::string& path, const Message& message, uint64_t run_id,
                      const std::string& label) {
  const size_t header_size = make_header(run_id, 0).size();
  const size_t length = header_size + message.ByteSizeLong() + kTrailerBytes;
  if (length > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw DataError(path + ": cannot write: " + std::to_string(length) +
                    " bytes are more than protobuf can read back (2 GiB)");
  }
  const std::string header = make_header(run_id, length);
  const std::string body = message.SerializeAsString();
  Checksum checksum;
  checksum.update(header);
  checksum.update(body);
  const std::string trailer = tag_bytes(kChecksumTag) + fixed64_bytes(checksum.value());
  write_file_atomic(path, {header, body, trailer}, label);
  return checksum.value();
}

}  // namespace resnet
