// NumPy's files: .npy, one array, and .npz, a zip archive of those.
#pragma once

#include <string>
#include <string_view>

#include "resnet/exchange/tensors.h"

namespace resnet {

// An array of versions 1 to 3: floats of 2, 4 or 8 bytes, integers of 8 and bytes, of either byte order, in C or
// Fortran order; the result is in C order. Throws DataError, which begins with `where`.
NamedTensor parse_npy(std::string_view bytes, const std::string& where);

// The arrays of an archive as np.savez() and np.savez_compressed() write it, under their names without ".npy".
// Throws DataError, which begins with `path`, for archives that are damaged (a wrong CRC-32, entries that
// overlap), in several parts, encrypted, of 4 GiB and more, or compressed otherwise than by deflate.
TensorFile parse_npz(std::string_view bytes, const std::string& path);
TensorFile read_npz(const std::string& path);

}  // namespace resnet
