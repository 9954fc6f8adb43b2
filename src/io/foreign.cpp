#include "io/foreign.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstdint>

#include "resnet/proto/resnet.pb.h"

namespace resnet {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::ArrayInputStream;
using google::protobuf::io::CodedInputStream;

struct Magic {
  std::string_view bytes;
  size_t offset;
  std::string_view format;
};

constexpr Magic kMagics[] = {
    {"\x89HDF\r\n", 0, "an HDF5 file"},
    {"PK\x03\x04", 0, "a zip archive (PyTorch or NumPy?)"},
    {"\x1f\x8b", 0, "a gzip archive: unpack it first"},
    {"\xde\xc0\xef\xbe", 16, "an LMDB database"},
    {"\x93NUMPY", 0, "a NumPy array"},
    {"\x80\x02", 0, "a Python pickle"},
    {"\xff\xd8\xff", 0, "a JPEG image"},
    {"\x89PNG", 0, "a PNG image"},
};

// Outermost fields of a message, one after the other.
struct Walk {
  size_t field_begin = 0;
  uint32_t number = 0;
  uint64_t declared = 0;  // bytes of the payload
  bool ok = true;
  bool truncated = false;
};

uint32_t field_number(uint32_t tag) {
  return static_cast<uint32_t>(WireFormatLite::GetTagFieldNumber(tag));
}

Walk walk(std::string_view bytes) {
  ArrayInputStream stream(bytes.data(),
                          static_cast<int>(std::min<size_t>(bytes.size(), INT32_MAX)));
  CodedInputStream in(&stream);
  in.SetTotalBytesLimit(INT32_MAX);
  Walk w;
  while (true) {
    w.field_begin = static_cast<size_t>(in.CurrentPosition());
    if (w.field_begin >= bytes.size()) return w;
    const uint32_t tag = in.ReadTag();
    w.number = field_number(tag);
    w.declared = 0;
    if (tag == 0 || w.number == 0) break;
    uint32_t length = 0;
    uint64_t ignored = 0;
    uint32_t ignored32 = 0;
    bool ok = false;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        ok = in.ReadVarint64(&ignored);
        break;
      case WireFormatLite::WIRETYPE_FIXED64:
        w.declared = 8;
        ok = in.ReadLittleEndian64(&ignored);
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        w.declared = 4;
        ok = in.ReadLittleEndian32(&ignored32);
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        ok = in.ReadVarint32(&length);
        w.declared = length;
        ok = ok && length <= INT32_MAX && in.Skip(static_cast<int>(length));
        break;
      default:
        break;
    }
    if (!ok) {
      w.truncated = w.declared > 0;
      break;
    }
  }
  w.ok = false;
  return w;
}

}  // namespace

std::string foreign_format(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  for (const Magic& m : kMagics) {
    if (bytes.size() >= m.offset && bytes.substr(m.offset, m.bytes.size()) == m.bytes) {
      return std::string(m.format);
    }
  }
  const std::string_view head = bytes.substr(0, 512);
  const bool text = std::all_of(head.begin(), head.end(), [](char c) {
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\t' || c == '\r';
  });
  return text ? "text (a prototxt?)" : "";
}

std::string damage_place(std::string_view bytes) {
  const Walk w = walk(bytes);
  if (w.ok) return "the contents of its fields make no sense";
  if (w.truncated) {
    return "field " + std::to_string(w.number) + " at byte " + std::to_string(w.field_begin) +
           " has " + std::to_string(w.declared) + " bytes, but the file ends at byte " +
           std::to_string(bytes.size()) + ": it is truncated";
  }
  return "no field begins at byte " + std::to_string(w.field_begin) + " of " +
         std::to_string(bytes.size());
}

bool looks_like_solver_state(std::string_view bytes) {
  SolverState state;
  return bytes.size() < INT32_MAX &&
         state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && state.has_iter() &&
         state.has_learned_net();
}

bool looks_like_weights(std::string_view bytes) {
  WeightFile weights;
  return bytes.size() < INT32_MAX &&
         weights.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
         weights.layer_size() + weights.layers_size() > 0;
}

}  // namespace resnet
