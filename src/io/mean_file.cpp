#include "resnet/io/mean_file.h"

#include <limits>

#include "io/foreign.h"
#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/files.h"

namespace resnet {

MeanImage read_mean(const std::string& path) { return parse_mean(read_file(path), path); }

MeanImage parse_mean(std::string_view bytes, const std::string& path) {
  if (const std::string other = foreign_format(bytes); !other.empty()) {
    throw DataError(path + ": this is " + other + ", not a mean file (.binaryproto)");
  }
  BlobProto blob;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !blob.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw DataError(path + ": not a mean file (.binaryproto), or damaged: " + damage_place(bytes));
  }
  MeanImage mean;
  const Shape shape = blob_shape(blob, path);
  const bool one_image = shape.rank() == 4 && shape[0] == 1;
  if ((!one_image && shape.rank() != 3) || shape.count() == 0) {
    throw DataError(path + ": not a mean file: its shape is " + shape.str() +
                    ", not that of one image (1,C,H,W)");
  }
  const int first = one_image ? 1 : 0;
  mean.shape = Shape{shape[first], shape[first + 1], shape[first + 2]};
  mean.values = blob_values(blob, path);
  return mean;
}

void write_mean(const std::string& path, const MeanImage& mean) {
  if (mean.shape.rank() != 3 || mean.shape.count() != static_cast<int64_t>(mean.values.size())) {
    throw InternalError("write_mean: shape " + mean.shape.str() + " with " +
                        std::to_string(mean.values.size()) + " values");
  }
  BlobProto blob;
  blob.set_num(1);
  blob.set_channels(static_cast<int>(mean.shape[0]));
  blob.set_height(static_cast<int>(mean.shape[1]));
  blob.set_width(static_cast<int>(mean.shape[2]));
  blob.mutable_data()->Add(mean.values.begin(), mean.values.end());
  write_file_atomic(path, {blob.SerializeAsString()});
}

}  // namespace resnet
