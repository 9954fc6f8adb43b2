#include "data/kept_file.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "resnet/base/error.h"
#include "resnet/io/checksum.h"
#include "resnet/io/files.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

using Sum = uint64_t;  // what the file ends with

}  // namespace

std::optional<std::string> read_kept_file(const std::string& path) {
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return std::nullopt;
  std::string content;
  try {
    content = read_file(path);
  } catch (const DataError&) {
    return std::nullopt;
  }
  if (content.size() < sizeof(Sum)) return std::nullopt;
  Sum stored;
  const size_t size = content.size() - sizeof stored;
  std::memcpy(&stored, content.data() + size, sizeof stored);
  content.resize(size);
  if (checksum_of(content) != stored) return std::nullopt;
  return content;
}

void write_kept_file(const std::string& path, std::string_view content) {
  const Sum sum = checksum_of(content);
  const std::string own = path + "." + std::to_string(::getpid());
  std::error_code failed;
  try {
    write_file_atomic(own, {content, {reinterpret_cast<const char*>(&sum), sizeof sum}});
    fs::rename(own, path, failed);
  } catch (const DataError&) {
    failed = std::make_error_code(std::errc::permission_denied);
  }
  if (!failed) return;
  fs::remove(own, failed);
  LOG(INFO) << path << " cannot be written: the next run will need as long to open the data set";
}

}  // namespace resnet
