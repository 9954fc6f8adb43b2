#include "solver/event_file.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

constexpr std::string_view kNameBegin = "events.out.tfevents.";

constexpr std::array<uint32_t, 256> crc_table() {
  constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? kPolynomial : 0);
    table[byte] = rest;
  }
  return table;
}

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crc_table();
  uint32_t crc = ~uint32_t{0};
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 255];
  return ~crc;
}

template <class Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The largest of the seconds in the names of a folder's event files; -1 without any.
int64_t latest_seconds(const std::string& directory) {
  int64_t latest = -1;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kNameBegin)) continue;
    int64_t seconds = -1;
    std::from_chars(name.data() + kNameBegin.size(), name.data() + name.size(), seconds);
    latest = std::max(latest, seconds);
  }
  return latest;
}

std::string new_name(const std::string& directory) {
  static std::atomic<int> number{0};
  char host[256] = "localhost", name[384];
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  const int64_t seconds =
      std::max<int64_t>(static_cast<int64_t>(std::time(nullptr)), latest_seconds(directory) + 1);
  std::snprintf(name, sizeof name, "%s%010lld.%s.%ld.%d", kNameBegin.data(),
                static_cast<long long>(seconds), host, static_cast<long>(::getpid()), number++);
  return name;
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  constexpr uint32_t kShift = 0xA282EAD8;
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + kShift;
}

std::string framed(std::string_view bytes) {
  std::string record = little_endian<uint64_t>(bytes.size());
  record += little_endian(masked_crc32c(record));
  record += bytes;
  return record += little_endian(masked_crc32c(bytes));
}

EventFile::EventFile(const std::string& directory) {
  prepare_directory_of(directory + "/events");
  path_ = directory + "/" + new_name(directory);
  out_.open(path_, std::ios::binary | std::ios::app);
  tensorboard::Event first;
  first.set_file_version("brain.Event:2");
  first.mutable_source_metadata()->set_writer("resnet");
  failed_ = true;  // for one message, not two
  write(std::move(first));
  if (!out_) throw DataError(path_ + ": cannot be written; choose another folder");
  failed_ = false;
}

void EventFile::write(tensorboard::Event event) {
  event.set_wall_time(seconds_now());
  const std::string record = framed(event.SerializeAsString());
  out_.write(record.data(), static_cast<std::streamsize>(record.size()));
  out_.flush();
  if (out_ || failed_) return;
  failed_ = true;
  LOG(WARNING) << path_ << ": cannot be written; the run goes on without it";
}

}  // namespace resnet
