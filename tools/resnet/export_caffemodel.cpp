// Format `caffemodel` of `resnet export`: a weight file as training writes it.
#include "export.h"

namespace resnet::cli {
namespace {

ExportResult write(const ExportJob& job) {
  write_caffemodel(job.output, job.weighted, job.run_id);
  return compare_read_back(job, read_caffemodel(job.output), 0);
}

}  // namespace

extern const ExportFormat kExportCaffemodel = {
    .name = "caffemodel", .suffix = ".caffemodel", .doc = "a weight file", .write = write};

}  // namespace resnet::cli
