// What CUDA text needs of CUDA, for a C++ compiler of the host: put in front of a text, it compiles as it stands.
//
// Its threads are those of host_cuda.cpp. Memory that a block shares is the host thread's own memory of the compiled
// text, which holds nothing but that, so that it can be found and filled before each block.

#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <utility>

namespace host_cuda {

struct Dimensions { unsigned x, y, z; };

struct Launch {
    unsigned blocks, threads;
    int64_t order;  // of threads and of blocks: 0 first to last, -1 last to first, else shuffled by this seed
};

// Memory that a block shares: somewhere in it, and the part whose size the launch says, of which it takes `used` bytes.
struct Shared {
    const char *inside;
    char *asked;
    size_t used, size;
};

// What one thread does.
struct Work {
    void (*run)(const void *given);
    const void *given;
};

extern Dimensions thread_index, block_index, block_size, grid_size;

const char *run_grid(const Launch &launch, const Shared &shared, const Work &work);
void wait_for_block(int line);
uint64_t meet_warp(int line, unsigned mask, uint64_t bits, int apart);

template <class Number> Number shuffle(int line, unsigned mask, Number number, int apart) {
    uint64_t bits = 0;
    memcpy(&bits, &number, sizeof number);
    bits = meet_warp(line, mask, bits, apart);
    memcpy(&number, &bits, sizeof number);
    return number;
}

template <class... Parameters> struct Call {
    void (*kernel)(Parameters...);
    const uint64_t *arguments;

    template <size_t... indices> void make(std::index_sequence<indices...>) const {
        kernel((Parameters)arguments[indices]...);
    }
    static void run(const void *given) {
        static_cast<const Call *>(given)->make(std::index_sequence_for<Parameters...>());
    }
};

template <class... Parameters>
const char *start(void (*kernel)(Parameters...), const Launch &launch, const Shared &shared, const uint64_t *arguments,
                  size_t count) {
    if (count != sizeof...(Parameters)) return "it takes another number of arguments";
    const Call<Parameters...> call = {kernel, arguments};
    return run_grid(launch, shared, {call.run, &call});
}

[[maybe_unused]] static thread_local char inside_shared;

}  // namespace host_cuda

// What stands behind a text: the memory whose size a launch says, if there is such, and what starts each kernel.
#define ASKED(number, bytes) extern "C" { thread_local __align__(16) number shared[(bytes) / sizeof(number)]; }
#define KERNEL(name, most, asked, size) \
    extern "C" const char *start_##name(unsigned blocks, unsigned threads, size_t used, int64_t order, \
                                        const uint64_t *arguments, size_t count) { \
        if (threads > most) return "a block has more threads than its launch bound"; \
        if (used > size) return "it is given shared memory that it does not know"; \
        const host_cuda::Shared memory = {&host_cuda::inside_shared, (char *)asked, used, size}; \
        return host_cuda::start(name, {blocks, threads, order}, memory, arguments, count); \
    }

#define threadIdx host_cuda::thread_index
#define blockIdx host_cuda::block_index
#define blockDim host_cuda::block_size
#define gridDim host_cuda::grid_size

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ thread_local

#define __syncthreads() host_cuda::wait_for_block(__LINE__)
#define __shfl_xor_sync(mask, number, apart) host_cuda::shuffle(__LINE__, mask, number, apart)
// One block runs at a time, and whatever it writes is there at once.
#define __threadfence()

static inline unsigned atomicInc(unsigned *number, unsigned last) {
    const unsigned before = *number;
    *number = before >= last ? 0 : before + 1;
    return before;
}

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}

#define __CUDA_ARCH__ 900
