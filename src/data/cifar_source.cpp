// CIFAR-10's binary files: records of one label byte and three planes of 32x32 bytes (R, G, B).
#include <algorithm>
#include <filesystem>

#include "data/cifar_format.h"
#include "data/input_file.h"
#include "data/sources.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

// Consecutive records of some files, read with pread(): no state, no copy of the set in memory.
class CifarSource : public DataSource {
 public:
  CifarSource(std::string name, const std::vector<std::string>& paths) : name_(std::move(name)) {
    for (const std::string& path : paths) add_file(path);
    if (size_ == 0) throw DataError(name_ + ": the data set is empty");
    class_names_ = read_class_names((fs::path(paths.front()).parent_path() / kCifarNames).string());
  }

  std::string name() const override { return name_; }
  int64_t size() const override { return size_; }
  std::vector<std::string> class_names() const override { return class_names_; }

  std::string key(int64_t i) const override {
    const File& file = file_of(i);
    return file.name + ":" + std::to_string(i - file.begin);
  }

  Record read(int64_t i) const override {
    const File& file = file_of(i);
    uint8_t raw[kCifarRecordBytes];
    const auto offset = static_cast<uint64_t>((i - file.begin) * kCifarRecordBytes);
    if (file.bytes.read(offset, raw) != sizeof raw) {
      throw record_error(name_, key(i), "the file became shorter");
    }
    Record record;
    record.key = key(i);
    record.label = raw[0];
    record.shape = {3, kCifarSide, kCifarSide};
    record.bytes.resize(3 * kCifarPlane);
    for (int64_t plane = 0; plane < 3; ++plane) {  // R,G,B -> B,G,R
      std::copy_n(raw + 1 + plane * kCifarPlane, kCifarPlane,
                  record.bytes.begin() + (2 - plane) * kCifarPlane);
    }
    return record;
  }

 private:
  struct File {
    std::string name;
    InputFile bytes;
    int64_t begin;  // index of its first record
  };

  void add_file(const std::string& path) {
    files_.push_back({fs::path(path).filename().string(), InputFile(path), size_});
    const auto bytes = static_cast<int64_t>(files_.back().bytes.size());
    if (bytes % kCifarRecordBytes != 0) {
      throw DataError(path + ": " + std::to_string(bytes) + " bytes are not a whole number of " +
                      std::to_string(kCifarRecordBytes) +
                      "-byte records: truncated, or not CIFAR-10's binary version");
    }
    size_ += bytes / kCifarRecordBytes;
  }

  const File& file_of(int64_t i) const {
    const auto after =
        std::upper_bound(files_.begin(), files_.end(), i,
                         [](int64_t at, const File& file) { return at < file.begin; });
    return *std::prev(after);
  }

  std::string name_;
  std::vector<File> files_;
  int64_t size_ = 0;
  std::vector<std::string> class_names_;
};

// data_batch_1.bin, data_batch_2.bin, .. without a gap.
std::vector<std::string> train_files(const std::string& folder) {
  size_t total = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    total += is_cifar_train_file(entry.path().filename().string());
  }
  std::vector<std::string> files;
  for (size_t number = 1; number <= std::max<size_t>(total, 1); ++number) {
    files.push_back((fs::path(folder) / cifar_train_file(number)).string());
  }
  return files;
}

}  // namespace

bool is_cifar(const std::string& path) {
  if (!fs::is_directory(path)) {
    const auto files = split_list(path);
    return !files.empty() && std::all_of(files.begin(), files.end(), [](const std::string& file) {
      return fs::path(file).extension() == ".bin" && fs::is_regular_file(file);
    });
  }
  return fs::exists(fs::path(path) / cifar_train_file(1)) ||
         fs::exists(fs::path(path) / kCifarTestFile);
}

SourcePtr open_cifar(const std::string& path, Phase phase) {
  if (!fs::is_directory(path)) return std::make_shared<CifarSource>(path, split_list(path));
  if (phase == TRAIN) return std::make_shared<CifarSource>(path, train_files(path));
  const std::string file = (fs::path(path) / kCifarTestFile).string();
  return std::make_shared<CifarSource>(file, std::vector{file});
}

}  // namespace resnet
