#include "npy.h"

#include <bit>
#include <cstring>
#include <filesystem>

#include "resnet/base/error.h"
#include "resnet/exchange/npz.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

static_assert(std::endian::native == std::endian::little, ".npy files are written as they lie");

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

}  // namespace

HostArray read_npy(const std::string& path) {
  NamedTensor tensor = parse_npy(read_file(path), path);
  return {tensor.shape, std::move(tensor.data)};
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
