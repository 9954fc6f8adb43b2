// The layers that bring data into a net. The graph makes their tops inputs; src/data fills them.
#include "layers/builtin.h"

namespace resnet::layers {

const LayerType kDataLayer{
    "Data",
    kNone,
    {1, 2},
    R"(Images and, as second top, their labels (N), read from `data_param.source`: an LMDB of Datum records
as `convert_imageset` makes them (`backend: LMDB`, the default) or, by backends of our own, a folder of
class folders (`FOLDER`), a list of lines "path label" (`LIST`, with `root`), a tar file (`TAR`, with
`label_file`), or CIFAR-10's binary files (`CIFAR10`; the source is their folder, or files joined by
commas); data/README.md has the details. `batch_size` images a batch. Grey images in a folder, a list or a
tar file are read as colour, those of a database with `force_color` or `force_encoded_color`.

`transform_param` says how an image becomes input (docs/data.md): `mean_file` or `mean_value`, `crop_size`,
`mirror`, `scale`, `force_color`, `force_gray`, and our own `resize_shorter_min` and `resize_shorter_max`,
`crop_area_min`, `crop_area_max` and `crop_aspect`, `color_std` and `color_file`, `pad`,
`exif_orientation`.

Our own `shuffle: true` gives every epoch a new order; without it the order is that of the keys, as in
Caffe. `record_begin` and `record_end` choose a part of the source. A test covers each record once; its
last batch may be short.)",
    nullptr};

const LayerType kDummyDataLayer{
    "DummyData", kNone, at_least(1),
    R"(Tops of the given `shape` (one for all, or one per top; `num`, `channels`, `height` and `width` are the
older form), filled by `data_filler` (likewise; constant 0 by default).)",
    nullptr};

const LayerType kInputLayer{
    "Input", kNone, at_least(1),
    R"(Tops of the given `shape` (one for all, or one per top) that the caller fills: images in `test`, `predict`
and `extract`. The `input`, `input_shape` and `input_dim` fields of older nets mean the same.

Other than Caffe: a shape is required.)",
    nullptr};

}  // namespace resnet::layers
