#include "resnet/exchange/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "exchange/json_scanner.h"
#include "resnet/base/error.h"
#include "resnet/base/half.h"
#include "resnet/base/json.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

static_assert(std::endian::native == std::endian::little,
              "arrays are read and written as they lie");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;  // bytes, as in the reference implementation
constexpr std::string_view kMetadata = "__metadata__";

// One array as the header states it.
struct Entry {
  std::string name, dtype;
  std::vector<int64_t> dims;
  int64_t begin = 0, end = 0;  // bytes behind the header
};

struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

template <class T>
void convert(const char* data, std::vector<float>* out) {
  for (float& value : *out) {
    T raw;
    std::memcpy(&raw, data, sizeof raw);
    data += sizeof raw;
    if constexpr (std::is_arithmetic_v<T>) {
      value = static_cast<float>(raw);
    } else {
      value = to_float(raw);
    }
  }
}

struct Type {
  const char* name;
  int64_t bytes;
  void (*convert)(const char* data, std::vector<float>* out);
};
constexpr std::array kTypes = {Type{"F64", 8, convert<double>}, Type{"F32", 4, convert<float>},
                               Type{"F16", 2, convert<f16>}, Type{"BF16", 2, convert<bf16>},
                               Type{"I64", 8, convert<int64_t>}};

// Reads the members of an object: `member` is called behind each name and its colon.
template <class Member>
void read_object(JsonScanner& scanner, const Member& member) {
  std::set<std::string> names;
  scanner.expect('{');
  if (scanner.accept('}')) return;
  do {
    std::string name = scanner.string();
    if (!names.insert(name).second) scanner.fail("the name '" + name + "' comes twice");
    scanner.expect(':');
    member(std::move(name));
  } while (scanner.accept(','));
  scanner.expect('}');
}

std::vector<int64_t> read_integers(JsonScanner& scanner, size_t most) {
  std::vector<int64_t> numbers;
  scanner.expect('[');
  if (scanner.accept(']')) return numbers;
  do {
    if (numbers.size() == most) scanner.fail("more than " + std::to_string(most) + " numbers");
    numbers.push_back(scanner.integer());
  } while (scanner.accept(','));
  scanner.expect(']');
  return numbers;
}

Entry read_entry(JsonScanner& scanner, std::string name) {
  Entry entry;
  int members = 0;
  read_object(scanner, [&](const std::string& member) {
    ++members;
    if (member == "dtype") {
      entry.dtype = scanner.string();
    } else if (member == "shape") {
      entry.dims = read_integers(scanner, Shape::kMaxRank);
    } else if (member == "data_offsets") {
      const std::vector<int64_t> offsets = read_integers(scanner, 2);
      if (offsets.size() != 2) scanner.fail("data_offsets of '" + name + "' are not two numbers");
      entry.begin = offsets[0];
      entry.end = offsets[1];
    } else {
      scanner.fail("'" + name + "' has the unknown member '" + member + "'");
    }
  });
  if (members != 3) scanner.fail("'" + name + "' lacks dtype, shape or data_offsets");
  entry.name = std::move(name);
  return entry;
}

Header read_header(std::string_view text, const std::string& path) {
  Header header;
  JsonScanner scanner(text, path);
  if (!text.starts_with('{')) scanner.fail("it does not begin with '{'");
  read_object(scanner, [&](std::string name) {
    if (name == kMetadata) {
      read_object(scanner,
                  [&](const std::string& key) { header.metadata[key] = scanner.string(); });
    } else {
      header.entries.push_back(read_entry(scanner, std::move(name)));
    }
  });
  scanner.expect_end();
  return header;
}

// Bytes that an array of this shape takes; nothing on overflow.
std::optional<int64_t> bytes_of(const Entry& entry, int64_t size) {
  int64_t bytes = size;
  for (const int64_t dim : entry.dims) {
    if (dim > 0 && bytes > std::numeric_limits<int64_t>::max() / dim) return std::nullopt;
    bytes *= dim;
  }
  return bytes;
}

// Arrays lie one after the other and fill the file.
void check_places(const Header& header, int64_t data_bytes, const std::string& path) {
  std::vector<const Entry*> order;
  order.reserve(header.entries.size());
  for (const Entry& entry : header.entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  int64_t at = 0;
  for (const Entry* entry : order) {
    const std::string where = path + ": array '" + entry->name + "'";
    if (entry->begin > entry->end) throw DataError(where + " ends before it begins");
    if (entry->end > data_bytes) {
      throw DataError(where + " ends at byte " + std::to_string(entry->end) + " of " +
                      std::to_string(data_bytes) + "; is the file truncated?");
    }
    if (entry->begin != at) {
      throw DataError(
          where + " begins at byte " + std::to_string(entry->begin) + ", but " +
          (entry->begin < at ? "the array before it ends at " : "no array lies behind byte ") +
          std::to_string(at));
    }
    at = entry->end;
  }
  if (at != data_bytes) {
    throw DataError(path + ": " + std::to_string(data_bytes - at) +
                    " bytes at the end belong to no array");
  }
}

NamedTensor read_array(Entry entry, std::string_view data, const std::string& path) {
  const std::string where = path + ": array '" + entry.name + "'";
  const auto* const type = std::find_if(kTypes.begin(), kTypes.end(),
                                        [&](const Type& t) { return entry.dtype == t.name; });
  if (type == kTypes.end()) {
    throw DataError(where + " has the type '" + entry.dtype +
                    "'; F64, F32, F16, BF16 and I64 are supported: convert it");
  }
  const std::optional<int64_t> bytes = bytes_of(entry, type->bytes);
  if (!bytes || *bytes != entry.end - entry.begin) {
    throw DataError(where + ": its shape and type do not make " +
                    std::to_string(entry.end - entry.begin) + " bytes");
  }
  NamedTensor tensor{std::move(entry.name), Shape(entry.dims),
                     std::vector<float>(static_cast<size_t>(*bytes / type->bytes))};
  type->convert(data.data() + entry.begin, &tensor.data);
  return tensor;
}

}  // namespace

const NamedTensor* TensorFile::find(std::string_view name) const {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

TensorFile parse_safetensors(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kLengthBytes) {
    throw DataError(path + ": not a safetensors file: it has " + std::to_string(bytes.size()) +
                    " bytes");
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  bytes.remove_prefix(kLengthBytes);
  if (length > kMaxHeader || length > bytes.size()) {
    throw DataError(path + ": not a safetensors file, or a truncated one: its header would have " +
                    std::to_string(length) + " bytes");
  }
  Header header = read_header(bytes.substr(0, length), path);
  bytes.remove_prefix(length);
  check_places(header, static_cast<int64_t>(bytes.size()), path);
  TensorFile file{path, {}, std::move(header.metadata)};
  file.tensors.reserve(header.entries.size());
  for (Entry& entry : header.entries) {
    file.tensors.push_back(read_array(std::move(entry), bytes, path));
  }
  return file;
}

TensorFile read_safetensors(const std::string& path) {
  return parse_safetensors(read_file(path), path);
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  Json header;
  if (!file.metadata.empty()) {
    Json metadata;
    for (const auto& [key, value] : file.metadata) metadata.set(key, value);
    header.set(kMetadata, metadata);
  }
  int64_t at = 0;
  for (const NamedTensor& tensor : file.tensors) {
    const auto bytes = static_cast<int64_t>(tensor.data.size() * sizeof(float));
    Json shape = Json::array();
    for (const int64_t dim : tensor.shape.dims()) shape.push(dim);
    header.set(tensor.name, Json()
                                .set("dtype", "F32")
                                .set("shape", shape)
                                .set("data_offsets", Json::array().push(at).push(at + bytes)));
    at += bytes;
  }
  std::string text = header.str();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const uint64_t length = text.size();
  const std::string_view length_bytes(reinterpret_cast<const char*>(&length), sizeof length);
  std::vector<std::string_view> parts = {length_bytes, text};
  for (const NamedTensor& tensor : file.tensors) {
    parts.emplace_back(reinterpret_cast<const char*>(tensor.data.data()),
                       tensor.data.size() * sizeof(float));
  }
  write_file_atomic(path, parts);
}

}  // namespace resnet
