// The files that `resnet test --report=DIR` writes; docs/evaluation.md describes them.
#pragma once

#include <string>
#include <vector>

#include "class_names.h"
#include "report_folder.h"
#include "resnet/data/source.h"
#include "resnet/eval/predictions.h"
#include "test_result.h"

namespace resnet::cli {

struct TestedModel {
  std::string net, weights;  // paths
};

struct TestReport {
  const TestResult& result;
  const PredictionLog& log;  // prediction i is of record i of the source
  const DataSource& source;
  const ClassNames& names;
  std::vector<TestedModel> models;
};

// Classes up to which a confusion matrix is written and drawn as a whole.
constexpr int64_t kMatrixClasses = 100;

// Dense counts (classes, classes), row by row: images of class `row` taken for class `column`.
std::vector<int64_t> confusion_matrix(const PredictionLog& log);

// Writes all files and finishes the folder. Throws DataError.
void write_report(ReportFolder& folder, const TestReport& report);

}  // namespace resnet::cli
