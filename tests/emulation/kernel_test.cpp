// Kernels on the emulated GPU: how threads of a block work together, and that misuse is found.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

namespace {

cudaLaunchConfig_t shape(dim3 grid, dim3 block) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  return config;
}

template <class... Parameters, class... Args>
cudaError_t run(dim3 grid, dim3 block, void (*kernel)(Parameters...), Args... args) {
  const cudaLaunchConfig_t config = shape(grid, block);
  return cudaLaunchKernelEx(&config, kernel, args...);
}

// Sums of the blocks' parts of `in`, 256 threads a block.
__global__ void sum_blocks(const int* in, int n, int* out) {
  __shared__ int parts[8];
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  int sum = i < n ? in[i] : 0;
  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, by);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < 8 ? parts[threadIdx.x] : 0;
    for (unsigned by = 4; by > 0; by /= 2) sum += __shfl_down_sync(0xFFFFFFFFu, sum, by);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

TEST(Kernel, ReducesWithSharedMemoryAndShuffles) {
  std::vector<int> in(1000), out(4);
  for (int i = 0; i < 1000; ++i) in[static_cast<size_t>(i)] = i * i % 71;
  ASSERT_EQ(run(4, 256, sum_blocks, in.data(), 1000, out.data()), cudaSuccess);
  for (size_t b = 0; b < 4; ++b) {
    int expected = 0;
    for (size_t i = b * 256; i < std::min<size_t>(1000, (b + 1) * 256); ++i) expected += in[i];
    EXPECT_EQ(out[b], expected) << b;
  }
}

__global__ void where(int* out) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * 24 + thread] += static_cast<int>(100 * block + thread);
}

TEST(Kernel, SeesItsPlaceInTheGrid) {
  std::vector<int> out(24 * 12, 0);
  ASSERT_EQ(run({2, 3, 2}, {4, 3, 2}, where, out.data()), cudaSuccess);
  for (int i = 0; i < 24 * 12; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], i / 24 * 100 + i % 24);
}

// Each thread reads what its neighbour wrote before the barrier, round after round.
__global__ void rotate(int rounds, int* values) {
  const unsigned i = threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    const int next = values[(i + 1) % blockDim.x];
    __syncthreads();
    values[i] = next;
    __syncthreads();
  }
}

TEST(Kernel, WaitsAtBarriers) {
  for (const int threads : {1, 31, 32, 100, 1024}) {
    std::vector<int> values(static_cast<size_t>(threads));
    for (int i = 0; i < threads; ++i) values[static_cast<size_t>(i)] = i;
    ASSERT_EQ(run(1, static_cast<unsigned>(threads), rotate, 3, values.data()), cudaSuccess);
    for (int i = 0; i < threads; ++i) {
      EXPECT_EQ(values[static_cast<size_t>(i)], (i + 3) % threads);
    }
  }
}

__global__ void vote(unsigned* out) {
  const unsigned odd = __ballot_sync(0xFFFFFFFFu, threadIdx.x % 2);
  // Halves of a warp apart.
  const unsigned half = threadIdx.x % 32 < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  const int first = __shfl_sync(half, static_cast<int>(threadIdx.x), 0, 16);
  if (threadIdx.x % 32 == 5) return;  // a lane that has ended is not waited for
  const unsigned alive = __ballot_sync(0xFFFFFFFFu, 1);
  __syncwarp();
  out[threadIdx.x] = static_cast<unsigned>(__popc(odd) + 100 * __popc(alive) + 10000 * first);
}

TEST(Kernel, Votes) {
  std::vector<unsigned> out(64, 0);
  ASSERT_EQ(run(1, 64, vote, out.data()), cudaSuccess);
  for (unsigned i = 0; i < 64; ++i) {
    EXPECT_EQ(out[i], i % 32 == 5 ? 0 : 16 + 3100 + 10000 * (i / 16 * 16)) << i;
  }
}

__global__ void count(int* ints, unsigned* most, float* floats) {
  atomicAdd(ints, 2);
  atomicMax(most, blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(floats, 0.5f);
}

TEST(Kernel, CountsAtomically) {
  int ints = 1;
  unsigned most = 0;
  float floats = 0;
  ASSERT_EQ(run(5, 10, count, &ints, &most, &floats), cudaSuccess);
  EXPECT_EQ(ints, 101);
  EXPECT_EQ(most, 49u);
  EXPECT_EQ(floats, 25.0f);
}

__global__ void nothing() {}

TEST(Kernel, IsNotLaunchedInImpossibleShapes) {
  EXPECT_EQ(run(1, 1024, nothing), cudaSuccess);
  EXPECT_EQ(run(1, 1025, nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(run(1, {32, 33, 1}, nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(run(1, {1, 1, 65}, nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(run(0, 32, nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(run({1, 65536, 1}, 32, nothing), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

__global__ void leave_before_the_barrier() {
  if (threadIdx.x == 7) return;
  __syncthreads();
}
__global__ void wait_at_two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void wait_for_a_lane_at_a_barrier() {
  if (threadIdx.x == 3) __syncthreads();
  __syncwarp();
}
__global__ void shuffle_at_two_places(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, 1, 1);
  } else {
    out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, 2, 1);
  }
}
__global__ void vote_without_itself(unsigned* out) { out[0] = __ballot_sync(2u, 1); }

class Misuse : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};
using MisuseDeathTest = Misuse;

TEST_F(MisuseDeathTest, OfBarriersIsFound) {
  EXPECT_DEATH(
      run({3, 1, 1}, 64, leave_before_the_barrier),
      "thread \\(0,0,0\\) of block \\(0,0,0\\): waits for ever at .*kernel_test.cpp:[0-9]+: "
      "of 64 threads 63 wait at a barrier, 0 for lanes of their warp, 1 have ended");
  EXPECT_DEATH(run(1, 64, wait_at_two_barriers), "wait at different barriers");
}

TEST_F(MisuseDeathTest, OfWarpsIsFound) {
  int out[32];
  unsigned votes = 0;
  EXPECT_DEATH(run(1, 32, wait_for_a_lane_at_a_barrier),
               "waits for ever at .*: of 32 threads 1 wait");
  EXPECT_DEATH(run(1, 32, shuffle_at_two_places, out), "lanes of one warp wait for each other at");
  EXPECT_DEATH(run(1, 32, vote_without_itself, &votes), "lane 0 is not in its own mask");
}

}  // namespace
