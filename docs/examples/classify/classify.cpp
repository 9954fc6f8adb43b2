// Says what images show.
// usage: classify MODEL.prototxt WEIGHTS.caffemodel IMAGE...
//        classify "" ONE_FILE_MODEL.caffemodel IMAGE...
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "resnet/classifier/classifier.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: classify MODEL WEIGHTS IMAGE...\n");
    return 2;
  }
  try {
    const resnet::Classifier classifier({.model = argv[1], .weights = argv[2]});
    std::vector<resnet::AnyImage> images;
    for (int i = 3; i < argc; ++i) images.push_back(resnet::ImageFile{argv[i]});

    const std::vector<resnet::Ranking> rankings = classifier.classify(images, 5);
    for (size_t i = 0; i < images.size(); ++i) {
      std::printf("%s\n", argv[3 + i]);
      for (const resnet::RankedClass& found : rankings[i]) {
        std::printf("%.4f %s\n", found.probability, found.name.c_str());
      }
    }

    // A classifier may be used by several threads at once; here each asks about the first image.
    std::vector<std::string> best(2);
    std::vector<std::thread> threads;
    for (std::string& name : best) {
      threads.emplace_back([&] { name = classifier.classify(images[0], 1).front().name; });
    }
    for (std::thread& thread : threads) thread.join();
    std::printf("two threads: %s, %s\n", best[0].c_str(), best[1].c_str());
  } catch (const std::exception& e) {  // resnet::Error says what to do about it
    std::fprintf(stderr, "classify: %s\n", e.what());
    return 1;
  }
}
