// Copies from global to shared memory that hold no register while they are under way: one warp's slots, filled
// in turns. On sm_90 one thread asks for a whole run of bytes (bulk copy, completion counted by a barrier in
// shared memory); on sm_80 each thread asks for its 16 bytes; before, they are loaded and stored.
#pragma once

#include "base.cuh"

constexpr int MOST_WARPS = 16;

__device__ inline uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

template <int STAGES>
struct Pipe {
    uint32_t arrived;  // address of the first stage's barrier; the others follow

    // Barriers: [MOST_WARPS · STAGES] words of 8 bytes in shared memory, this warp's first one at `barriers`.
    __device__ Pipe(uint64_t* barriers, int lane) : arrived(shared_address(barriers)) {
#if __CUDA_ARCH__ >= 900
        if (lane == 0) {
            for (int s = 0; s < STAGES; s++) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(arrived + 8 * s) : "memory");
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }
        __syncwarp();
#endif
    }

    // Starts a stage of `bytes` in all.
    __device__ void expect(int stage, int bytes, int lane) const {
#if __CUDA_ARCH__ >= 900
        if (lane == 0) asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(arrived + 8 * stage), "r"(bytes) : "memory");
#endif
    }

    // `bytes` (a multiple of 16) between addresses that are multiples of 16.
    __device__ void copy(int stage, uint8_t* to, const uint8_t* from, int bytes, int lane) const {
#if __CUDA_ARCH__ >= 900
        if (lane == 0) {
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                             shared_address(to)),
                         "l"(from), "r"(bytes), "r"(arrived + 8 * stage)
                         : "memory");
        }
#else
        for (int i = 16 * lane; i < bytes; i += 16 * WARP) {
#if __CUDA_ARCH__ >= 800
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to + i)), "l"(from + i) : "memory");
#else
            *(uint4*)(to + i) = *(const uint4*)(from + i);
#endif
        }
#endif
    }

    // A stage has all its copies; called once for each stage that is asked for, also for an empty one.
    __device__ void close() const {
#if __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 900
        asm volatile("cp.async.commit_group;" ::: "memory");
#endif
    }

    // Waits for the oldest stage, `round` being how often it was waited for before; STAGES − 1 newer ones are closed.
    __device__ void await(int stage, int round) const {
#if __CUDA_ARCH__ >= 900
        uint32_t done = 0;
        while (!done) {
            asm volatile(
                "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                : "=r"(done)
                : "r"(arrived + 8 * stage), "r"(round & 1)
                : "memory");
        }
#elif __CUDA_ARCH__ >= 800
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 1) : "memory");
#endif
        __syncwarp();
    }
};
