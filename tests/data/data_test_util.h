// Small data sets for the tests of src/data.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "data/cifar_format.h"
#include "io/io_test_util.h"
#include "resnet/data/loader.h"
#include "resnet/data/source.h"

namespace resnet::testing {

// A colour record whose every byte differs from its neighbours'.
inline Record numbered_record(int64_t i, int64_t label, Shape shape = {3, 32, 32}) {
  Record record;
  record.key = "image" + std::to_string(i);
  record.label = label;
  record.shape = shape;
  for (int64_t k = 0; k < shape.count(); ++k) {
    record.bytes.push_back(static_cast<uint8_t>(k * 7 + i * 13 + k / 251));
  }
  return record;
}

// A source in memory.
class MemorySource : public DataSource {
 public:
  explicit MemorySource(std::vector<Record> records) : records_(std::move(records)) {}
  std::string name() const override { return "memory"; }
  int64_t size() const override { return static_cast<int64_t>(records_.size()); }
  Record read(int64_t i) const override { return records_[static_cast<size_t>(i)]; }
  std::string key(int64_t i) const override { return records_[static_cast<size_t>(i)].key; }

 private:
  std::vector<Record> records_;
};

inline SourcePtr numbered_source(int64_t size, Shape shape = {3, 32, 32}) {
  std::vector<Record> records;
  for (int64_t i = 0; i < size; ++i) records.push_back(numbered_record(i, i % 10, shape));
  return std::make_shared<MemorySource>(std::move(records));
}

// Appends `count` records to a CIFAR-10 file; record i has label i % 10.
inline void write_cifar(const std::string& path, int64_t first, int64_t count) {
  std::ofstream file(path, std::ios::binary | std::ios::app);
  for (int64_t i = first; i < first + count; ++i) {
    const std::vector<uint8_t> bytes = cifar_record(numbered_record(i, i % 10));
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
}

inline LayerParameter data_layer(const std::string& source, DataParameter::DB backend,
                                 uint32_t batch = 4) {
  LayerParameter layer;
  layer.set_name("data");
  layer.set_type("Data");
  layer.add_top("data");
  layer.add_top("label");
  layer.mutable_data_param()->set_source(source);
  layer.mutable_data_param()->set_backend(backend);
  layer.mutable_data_param()->set_batch_size(batch);
  return layer;
}

template <class T>
std::vector<T> read_binary(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<T> out(static_cast<size_t>(file.tellg()) / sizeof(T));
  file.seekg(0).read(reinterpret_cast<char*>(out.data()),
                     static_cast<std::streamsize>(out.size() * sizeof(T)));
  return out;
}

// One line, without the line break that a message for a terminal must not have.
#define EXPECT_ONE_LINE(text, ...)                                                          \
  do {                                                                                      \
    const std::string line_ = (text);                                                       \
    EXPECT_EQ(line_.find('\n'), std::string::npos) << line_;                                \
    for (const std::string part_ : std::vector<std::string>{__VA_ARGS__})                   \
      EXPECT_NE(line_.find(part_), std::string::npos) << "'" << part_ << "' in: " << line_; \
  } while (false)

}  // namespace resnet::testing
