#include "resnet/tensor/tensor.h"

#include <gtest/gtest.h>

#include "resnet/base/error.h"
#include "resnet/base/memory.h"

namespace resnet {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape s{2, 3, 4, 5};
  EXPECT_EQ(s.rank(), 4);
  EXPECT_EQ(s.count(), 120);
  EXPECT_EQ(s.count(1, 3), 12);
  EXPECT_EQ(s.count_from(2), 20);
  EXPECT_EQ(s.str(), "(2,3,4,5)");
  EXPECT_EQ(Shape().count(), 1);
  EXPECT_EQ(Shape().str(), "()");
  EXPECT_EQ((Shape{2, 0, 4}).count(), 0);
}

TEST(Shape, Compares) {
  EXPECT_EQ((Shape{2, 3}), (Shape(std::vector<int64_t>{2, 3})));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
}

TEST(Shape, RefusesNonsense) {
  EXPECT_THROW(Shape(std::vector<int64_t>(9, 1)), ConfigError);
  EXPECT_THROW((Shape{2, -1}), ConfigError);
  const int64_t huge = int64_t{1} << 40;
  EXPECT_THROW((Shape{huge, huge}).count(), ConfigError);
  EXPECT_THROW((TensorDesc{Shape{huge, 1 << 22}, DType::f64, Layout::nchw()}).bytes(), ConfigError);
}

TEST(Shape, CanonicalAxis) {
  const Shape s{2, 3, 4};
  EXPECT_EQ(s.canonical_axis(-1), 2);
  EXPECT_EQ(s.canonical_axis(0), 0);
  EXPECT_THROW(s.canonical_axis(3), ConfigError);
  EXPECT_THROW(s.canonical_axis(-4), ConfigError);
}

TEST(TensorDesc, StorageCountsPaddedChannels) {
  TensorDesc desc{Shape{2, 17, 3, 3}, DType::f32, Layout::nchw()};
  EXPECT_EQ(desc.bytes(), 2 * 17 * 9 * 4);
  desc.layout = Layout::blocked(16);
  EXPECT_EQ(desc.storage_count(), 2 * 32 * 9);
  EXPECT_EQ(desc.str(), "f32 (2,17,3,3) nChw16c");
  desc.layout = Layout::opaque(3);
  EXPECT_THROW(desc.bytes(), InternalError);
  desc.layout = Layout::any();
  EXPECT_THROW(desc.bytes(), InternalError);
}

TEST(Buffer, IsAlignedZeroAndMovable) {
  for (int64_t bytes : {int64_t{1}, int64_t{100}, int64_t{5} << 20}) {
    Buffer buffer = host_buffer(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (int64_t i = 0; i < bytes; i += 4096) ASSERT_EQ(buffer.data()[i], std::byte{0});
    std::byte* data = buffer.data();
    Buffer moved = std::move(buffer);
    EXPECT_EQ(moved.data(), data);
    EXPECT_EQ(buffer.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  }
  EXPECT_EQ(host_buffer(0).data(), nullptr);
  const int64_t available = available_memory_bytes();
  EXPECT_GT(available, 0);
  if (available < int64_t{1} << 50) {
    EXPECT_THROW(host_buffer(2 * available), OutOfMemory);
  }
}

TEST(Buffer, ViewsAtAnOffset) {
  const Buffer buffer = host_buffer(64);
  const Tensor view = buffer.view({Shape{4}, DType::f32, Layout::nchw()}, 16);
  view.as<float>()[1] = 2.5f;
  EXPECT_EQ(reinterpret_cast<float*>(buffer.data())[5], 2.5f);
}

}  // namespace
}  // namespace resnet
