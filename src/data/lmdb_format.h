// File names inside an LMDB folder.
#pragma once

namespace resnet {

inline constexpr const char* kLmdbFile = "data.mdb";
// Our addition, ignored by LMDB: class names, one a line, in label order.
inline constexpr const char* kLmdbNames = "class_names.txt";
// Also ours: where the records lie (lmdb_keys.h).
inline constexpr const char* kLmdbKeys = "data.mdb.keys";

}  // namespace resnet
