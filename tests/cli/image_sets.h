// Image files in a workspace, in the forms that a data set may have.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/tool.h"

namespace resnet::test {

// The level of channel `c` (0 red, 1 green, 2 blue) at row y and column x.
using PixelFunction = std::function<int(int y, int x, int c)>;

// A PPM file, or with one channel a PGM file.
void write_pixels(const Workspace& files, const std::string& name, int height, int width,
                  int channels, const PixelFunction& pixel);

// A JPEG file; `orientation` 1 to 8 is written as EXIF mark, 0: none.
void write_jpeg(const Workspace& files, const std::string& name, int height, int width,
                uint32_t seed, int orientation = 0);

// 12 JPEG files of different sizes in three classes, set/CLASS/NN.jpg, with list.txt (relative to the
// workspace), set.tar (class folders) and classes.tar (a tar file for each class, as ImageNet's).
void write_image_set(const Workspace& files);

// A net for such images, images.prototxt, cut to 32x32 after random scaling to 40..60 pixels, trained
// by images_solver.prototxt (4 iterations of 4 images, snapshots images/net_iter_2, _4). Its two data
// layers read `source_fields` (of data_param), and have `transform` beside the usual transform_param.
void write_image_net(const Workspace& files, const std::string& source_fields,
                     const std::string& transform = "");

// Runs tar(1) and the like in the workspace.
void shell(const Workspace& files, const std::string& command);

}  // namespace resnet::test
