// The kinds of source, for source.cpp.
#pragma once

#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

// An LMDB folder of Datum messages.
bool is_lmdb(const std::string& path);
SourcePtr open_lmdb(const std::string& path);

// A folder of CIFAR-10's binary files, of which `phase` picks some, or such files joined by commas.
bool is_cifar(const std::string& path);
SourcePtr open_cifar(const std::string& path, Phase phase);

// As many generated records as the layer's batch holds.
SourcePtr open_dummy(const LayerParameter& layer);

// The parts of a list joined by commas, empty ones left out.
std::vector<std::string> split_list(const std::string& list);

// The names in a text file, one a line; empty when the file does not exist.
std::vector<std::string> read_class_names(const std::string& path);
void write_class_names(const std::string& path, const std::vector<std::string>& names);

}  // namespace resnet
