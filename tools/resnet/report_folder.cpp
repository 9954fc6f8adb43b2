#include "report_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kNames = {
    "report.json", "report.html", "predictions.jsonl", "per_class.csv", "confusion.csv"};

bool is_report_file(const std::string& name) {
  const std::string_view plain =
      name.ends_with(".tmp") ? std::string_view(name).substr(0, name.size() - 4) : name;
  return std::find(kNames.begin(), kNames.end(), plain) != kNames.end();
}

void check(const std::error_code& error, const std::string& path, const char* action) {
  if (error) throw DataError(path + ": cannot be " + action + ": " + error.message());
}

// The first name in a folder that no report has; empty when all fit.
std::string foreign_file(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename();
    if (!entry.is_regular_file(error) || !is_report_file(name)) return name;
  }
  check(error, folder, "read");
  return "";
}

bool is_report(const std::string& folder) {
  const std::string file = folder + "/report.json";
  return fs::is_regular_file(file) && read_file(file).starts_with(kReportMark);
}

// Whatever is replaced must be a report: a mistyped --report must not cost anybody's files.
void check_replaceable(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) {
    throw ConfigError(path + ": is there and is no folder; give another --report");
  }
  if (fs::is_empty(path, error)) return;
  const std::string foreign = foreign_file(path);
  if (foreign.empty() && is_report(path)) return;
  throw ConfigError(path + ": is no former report" +
                    (foreign.empty() ? "" : ", it holds '" + foreign + "'") +
                    "; give an empty folder or a new name");
}

// Removes what a run that was killed has left.
void remove_leftover(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return;
  if (!foreign_file(folder).empty()) {
    throw ConfigError(folder + ": is in the way of the report; remove it or give another --report");
  }
  fs::remove_all(folder, error);
  check(error, folder, "removed");
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

ReportFolder::ReportFolder(std::string path)
    : path_(without_slashes(std::move(path))),
      temporary_(path_ + ".tmp"),
      former_(path_ + ".old.tmp") {
  check_replaceable(path_);
  remove_leftover(temporary_);
  remove_leftover(former_);
  prepare_directory_of(path_);
}

ReportFolder::~ReportFolder() {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void ReportFolder::write(const std::string& name, std::string_view content) {
  std::error_code error;
  fs::create_directory(temporary_, error);
  check(error, temporary_, "created");
  write_file_atomic(temporary_ + "/" + name, {content});
}

void ReportFolder::finish() {
  std::error_code error;
  check_replaceable(path_);
  const bool replaces = fs::exists(path_);
  if (replaces) {
    fs::rename(path_, former_, error);
    check(error, path_, "replaced");
  }
  fs::rename(temporary_, path_, error);
  if (error && replaces) {
    std::error_code ignored;
    fs::rename(former_, path_, ignored);
  }
  check(error, path_, "written");
  fs::remove_all(former_, error);
}

}  // namespace resnet::cli
