// A folder of files that appears complete or not at all, and takes the place of nothing but a folder of
// the same kind.
#pragma once

#include <string>
#include <string_view>

namespace resnet::cli {

// How report.json begins, by which a former report is known.
inline constexpr std::string_view kReportMark = R"({"report":"resnet test")";

class ReportFolder {
 public:
  // Call before the work whose report it will be. Throws ConfigError where something else is at `path`:
  // a file, or a folder that holds other files than a report's; DataError where nothing can be written.
  explicit ReportFolder(std::string path);
  ~ReportFolder();  // removes what is unfinished
  ReportFolder(const ReportFolder&) = delete;
  ReportFolder& operator=(const ReportFolder&) = delete;

  // `name`: one of the files of a report. Throws DataError.
  void write(const std::string& name, std::string_view content);
  // Puts the folder at its place, where it replaces a former report. Throws DataError.
  void finish();

 private:
  std::string path_, temporary_, former_;
};

}  // namespace resnet::cli
