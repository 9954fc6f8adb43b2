// The page report.html: one file without scripts or anything from outside.
#pragma once

#include <string>

#include "test_report.h"

namespace resnet::cli {

// Reads from the source again the few images that the page shows.
std::string report_page(const TestReport& report);

}  // namespace resnet::cli
