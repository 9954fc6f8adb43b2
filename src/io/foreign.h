// Names what a file is when it is not what was asked for. Internal.
#pragma once

#include <string>
#include <string_view>

namespace resnet {

// "an HDF5 file", "a zip archive (PyTorch or NumPy?)", "text", "empty", ...; "" if not recognised.
std::string foreign_format(std::string_view bytes);

// Walks the outermost protobuf fields and says where they stop making sense: "a field at byte 120
// says that it has 4000 bytes, but the file ends at byte 900: it is truncated".
std::string damage_place(std::string_view bytes);

// Does this parse as a solver state with its two main fields? As a net with layers?
bool looks_like_solver_state(std::string_view bytes);
bool looks_like_weights(std::string_view bytes);

}  // namespace resnet
