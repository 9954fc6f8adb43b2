// The drawings of report.html, as inline SVG that takes its colours from the page's style sheet.
#pragma once

#include <string>

#include "markup.h"
#include "test_report.h"

namespace resnet::cli {

// Accuracy over confidence by bin, above the number of images in each bin.
std::string reliability_diagram(const Calibration& calibration);
// Errors with intervals, worst first; of many classes the worst and the best.
std::string class_error_chart(const TestReport& report);
// Rows are labels, columns guesses. For at most kMatrixClasses classes.
std::string confusion_chart(const TestReport& report);

}  // namespace resnet::cli
