// Reads and writes networks and solvers as text (prototxt), with errors that say file:line:column.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resnet/proto/resnet.pb.h"

namespace resnet {

// A network with the place of each layer in its file.
struct NetSource {
  NetParameter net;
  std::string path;             // as given; "<text>" for text without a file
  std::vector<int> layer_line;  // 1-based line of net.layer(i)

  // Unknown fields, unknown enum values and values of a wrong type, in file order, each
  // "file:line:column: fact; next action". `net` lacks the fields that these lines name.
  std::vector<std::string> problems;

  // "path:line" of net.layer(i); "path" when i is not a layer of the file.
  std::string where(int i) const;
};

// Reads a network. A syntax error (or a file that cannot be read) throws ConfigError with all that
// was found up to it. All other findings are returned in `problems`, so that the graph's errors can
// be reported together with them; the caller must not run a net that has problems.
NetSource read_net_source(const std::string& path);
NetSource parse_net_source(std::string_view text, const std::string& name = "<text>");

// Read a network or a solver and throw one ConfigError with every problem, one line each.
// Fields that are accepted without effect are logged, once per process and field (docs/formats.md).
// The solver's legacy `solver_type` is returned as `type`.
NetParameter read_net_prototxt(const std::string& path);
NetParameter parse_net_prototxt(std::string_view text, const std::string& name = "<text>");
SolverParameter read_solver_prototxt(const std::string& path);
SolverParameter parse_solver_prototxt(std::string_view text, const std::string& name = "<text>");

// Text that parses back to an equal message: fields in the order in which resnet.proto declares
// them, two spaces of indentation, small groups on one line. The same message gives the same text.
std::string format_prototxt(const google::protobuf::Message& message);

// Writes format_prototxt(message) to a file, preceded by `comment` as # lines (may be empty).
// Replaces the file at once or not at all. Throws DataError.
void write_prototxt(const std::string& path, const google::protobuf::Message& message,
                    const std::string& comment = "");

}  // namespace resnet
