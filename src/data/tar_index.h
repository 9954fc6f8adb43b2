// Where the images of a tar file lie.
#pragma once

#include "data/input_file.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

// The images in the order of class and name. Classes are the tar files inside ("n01440764.tar") or
// the folders; a folder that holds all others is skipped. An image that lies in no folder means
// that there are no classes: labels are 0 then. Throws DataError for files that cannot be read
// right: damaged, truncated, compressed, sparse, or with links in place of images.
TarIndex build_tar_index(const InputFile& tar);

// The same, from the file NAME.index beside the tar file if it is there and describes this one;
// else built, and kept there for the next time where the folder can be written.
TarIndex load_tar_index(const InputFile& tar);

}  // namespace resnet
