// A text file that grows line by line while a run goes on.
#pragma once

#include <fstream>
#include <string>

namespace resnet {

// Appends lines; each is with the system when write() returns, so that a killed run keeps what it logged.
// A file that cannot be written is reported once in the log.
class LogFile {
 public:
  // Ends a line that an earlier run left unfinished.
  explicit LogFile(const std::string& path);
  void write(const std::string& line);  // without its end

 private:
  std::string path_;
  std::ofstream out_;
  bool failed_ = false;
};

}  // namespace resnet
