// Files that are either complete or absent: durable writes, whole reads, and errors that say why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace resnet {

// The bytes of a file. Throws DataError with path and reason.
std::string read_file(const std::string& path);

// Writes the parts, one after the other, to `path`.tmp, calls fsync, renames to `path` and calls
// fsync on the directory: afterwards the file is complete on disk, and whenever the process or
// machine stops, `path` is either the old file or the new one. One writer per path. Throws
// DataError and removes the temporary file on failure (disk full, no permission, no such
// directory). `label` names the passage for crash_point(): "model" passes "model_half_written", ...
void write_file_atomic(const std::string& path, const std::vector<std::string_view>& parts,
                       const std::string& label = "file");

// Removes a file; a file that does not exist is no error. Throws DataError.
void remove_file(const std::string& path);

// Creates the directory that `path` lies in and those above it, and checks that files can be
// created there by doing so. Returns the bytes free there for this user. Throws DataError.
int64_t prepare_directory_of(const std::string& path);

// "dir/file" -> "dir" ("." without a directory) and "file".
std::string directory_of(const std::string& path);
std::string base_name(const std::string& path);

// Test hook. RESNET_TEST_CRASH="POINT:COUNT" makes the process kill itself with SIGKILL when it
// passes POINT for the COUNT-th time (from 1). Without the variable this does nothing. Points of
// write_file_atomic, in order, where LABEL is "model" or "state" in snapshots and "file" elsewhere:
//   LABEL_half_written (half of the bytes are in the temporary file), LABEL_written (all, not
//   synced), LABEL_synced (before the rename), LABEL_renamed (before the directory is synced),
//   LABEL_done.
// Other modules may add points of their own. Thread-safe.
void crash_point(const std::string& point);

}  // namespace resnet
