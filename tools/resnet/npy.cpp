#include "npy.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

static_assert(std::endian::native == std::endian::little,
              ".npy files are read and written as they lie");

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kAlignment = 64;  // of the data in the file

// `type`: as NumPy writes it, "<f4".
std::string header(const std::string& type, const Shape& shape) {
  std::string dims;
  for (const int64_t dim : shape.dims()) dims += std::to_string(dim) + ",";
  std::string text = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + dims + "), }";
  const size_t before = kMagic.size() + 4;  // version and length
  text.resize((before + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - before - 1,
              ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  const char version_and_length[] = {1, 0, static_cast<char>(length & 255),
                                     static_cast<char>(length >> 8)};
  return std::string(kMagic) + std::string(version_and_length, 4) + text;
}

// The text behind "'key':" in the header, without leading blanks.
std::string_view member(std::string_view text, std::string_view key) {
  const size_t at = text.find("'" + std::string(key) + "':");
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size() + 3);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

Shape parse_shape(std::string_view text, const std::string& path) {
  std::vector<int64_t> dims;
  const size_t close = text.find(')');
  if (!text.starts_with('(') || close == std::string_view::npos) {
    throw DataError(path + ": the header states no shape");
  }
  text = text.substr(1, close - 1);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    int64_t dim = -1;
    const size_t begin = std::min(text.find_first_not_of(' '), comma);
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + comma, dim);
    if (begin < comma && (error != std::errc() || dim < 0)) {
      throw DataError(path + ": the header's shape makes no sense");
    }
    if (begin < comma) dims.push_back(dim);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return Shape(dims);
}

// The values of type T as float.
template <class T>
std::vector<float> values_of(std::string_view data, const Shape& shape, const std::string& path) {
  const auto count = static_cast<size_t>(shape.count());
  if (data.size() % sizeof(T) != 0 || data.size() / sizeof(T) != count) {
    throw DataError(path + ": " + std::to_string(data.size()) + " bytes of data do not make " +
                    shape.str() + "; is the file truncated?");
  }
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(value);
  }
  return values;
}

}  // namespace

HostArray read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  std::string_view data = bytes;
  const size_t prefix = kMagic.size() + 4;
  if (!data.starts_with(kMagic) || data.size() < prefix + 2)
    throw DataError(path + ": not an .npy file");
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(data[i]));
  };
  size_t length = byte(8) + (byte(9) << 8);
  size_t begin = prefix;
  if (byte(6) > 1) {
    length += (byte(10) << 16) + (byte(11) << 24);
    begin += 2;
  }
  if (data.size() < begin + length) throw DataError(path + ": the header is truncated");
  const std::string_view head = data.substr(begin, length);
  data.remove_prefix(begin + length);

  if (!member(head, "fortran_order").starts_with("False")) {
    throw DataError(path + ": the array is in Fortran order; save np.ascontiguousarray(x)");
  }
  HostArray array{parse_shape(member(head, "shape"), path), {}};
  const std::string_view type = member(head, "descr");
  if (type.starts_with("'<f4'")) {
    array.data = values_of<float>(data, array.shape, path);
  } else if (type.starts_with("'<f8'")) {
    array.data = values_of<double>(data, array.shape, path);
  } else if (type.starts_with("'|u1'")) {
    array.data = values_of<uint8_t>(data, array.shape, path);
  } else {
    throw DataError(path +
                    ": the array is not of type float32, float64 or uint8; save x.astype('f4')");
  }
  return array;
}

void write_npy(const std::string& path, std::span<const int64_t> values) {
  const std::string head = header("<i8", {static_cast<int64_t>(values.size())});
  const std::string_view data(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  write_file_atomic(path, {head, data});
}

NpyWriter::NpyWriter(const std::string& path, const Shape& shape)
    : path_(path),
      temporary_(path + ".tmp"),
      left_(shape.count()),
      file_(temporary_, std::ios::binary | std::ios::trunc) {
  const std::string head = header("<f4", shape);
  file_.write(head.data(), static_cast<std::streamsize>(head.size()));
  check(file_.good());
}

NpyWriter::~NpyWriter() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void NpyWriter::append(std::span<const float> values) {
  left_ -= static_cast<int64_t>(values.size());
  file_.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size_bytes()));
  check(file_.good());
}

void NpyWriter::finish() {
  if (left_ != 0) throw InternalError(path_ + ": the array is not what its header says");
  file_.close();
  check(file_.good());
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  check(!error);
  temporary_.clear();
}

void NpyWriter::check(bool good) const {
  if (good) return;
  const std::string reason = std::strerror(errno);
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
  throw DataError(path_ + ": cannot be written: " + reason);
}

}  // namespace resnet::cli
