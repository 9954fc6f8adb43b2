// Layout and file names of CIFAR-10's binary version.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

inline constexpr int64_t kCifarSide = 32;                          // pixels
inline constexpr int64_t kCifarPlane = kCifarSide * kCifarSide;    // bytes of one colour
inline constexpr int64_t kCifarRecordBytes = 1 + 3 * kCifarPlane;  // label, R, G, B
inline constexpr int64_t kCifarFileRecords = 10000;                // in a full training file
inline constexpr const char* kCifarTestFile = "test_batch.bin";
inline constexpr const char* kCifarNames = "batches.meta.txt";

inline std::string cifar_train_file(size_t number) {
  return "data_batch_" + std::to_string(number) + ".bin";
}

inline bool is_cifar_train_file(const std::string& name) {
  return name.starts_with("data_batch_") && name.ends_with(".bin");
}

// A record in that layout: label, R, G, B. Throws DataError if it does not fit.
std::vector<uint8_t> cifar_record(const Record& record);

}  // namespace resnet
