#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "data/cifar_format.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

class CifarWriter : public RecordWriter {
 public:
  CifarWriter(const std::string& path, Phase phase) : folder_(path), phase_(phase) {}

  void add(const Record& record) override {
    if (phase_ == TEST ? count_ == 0 : count_ % kCifarFileRecords == 0) open_next();
    const auto bytes = cifar_record(record);
    file_.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    if (!file_) fail();
    ++count_;
  }

  void finish() override {
    if (file_.is_open()) file_.close();
    if (!file_) fail();
  }

 private:
  void open_next() {
    finish();
    const auto number = static_cast<size_t>(count_ / kCifarFileRecords + 1);
    path_ = (folder_ / (phase_ == TEST ? kCifarTestFile : cifar_train_file(number))).string();
    file_.open(path_, std::ios::binary);
    if (!file_) fail();
  }

  [[noreturn]] void fail() const {
    throw DataError(path_ + ": cannot write (is the disk full?): " + std::strerror(errno));
  }

  fs::path folder_;
  Phase phase_;
  std::string path_;
  std::ofstream file_;
  int64_t count_ = 0;
};

}  // namespace

std::vector<uint8_t> cifar_record(const Record& record) {
  const Shape wanted{3, kCifarSide, kCifarSide};
  if (record.shape != wanted || record.bytes.size() != 3 * kCifarPlane) {
    throw DataError("record " + record.key + ": has shape " + record.shape.str() +
                    "; CIFAR-10's binary layout holds 8-bit pixels of shape " + wanted.str());
  }
  if (record.label < 0 || record.label > 255) {
    throw DataError("record " + record.key + ": label " + std::to_string(record.label) +
                    " does not fit into the one byte of CIFAR-10's binary layout");
  }
  std::vector<uint8_t> out{static_cast<uint8_t>(record.label)};
  out.reserve(kCifarRecordBytes);
  for (int64_t plane = 2; plane >= 0; --plane) {  // B,G,R -> R,G,B
    const auto begin = record.bytes.begin() + plane * kCifarPlane;
    out.insert(out.end(), begin, begin + kCifarPlane);
  }
  return out;
}

std::unique_ptr<RecordWriter> open_cifar_writer(const std::string& path, Phase phase) {
  return std::make_unique<CifarWriter>(path, phase);
}

}  // namespace resnet
